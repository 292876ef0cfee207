import Benchmarking
import Testing

@Suite("Machine's peaks")
struct MachinePeaksTests {
  @Test("bandwidth is the roof until the peak is")
  func roof() {
    let machine = MachinePeaks(operationsOfOneCore: 100e9, copyBandwidth: 40e9)
    #expect(machine.roof(intensity: 0.5, threads: 2) == 20e9)
    #expect(machine.roof(intensity: 5, threads: 2) == 200e9)
    #expect(machine.roof(intensity: 500, threads: 2) == 200e9)
    // Two threads' bandwidth was measured, one core's peak.
    #expect(machine.roof(intensity: 4, threads: 1) == 100e9)
  }
}
