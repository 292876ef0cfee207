import Networks
import Quantization
import Records
import Tensor

/// The quantizers' scales and ranges at the ends of epochs.
final class QuantizerSeries: TrainingObserver {
  var sums = NoSums()

  func didFinishEpoch(_ records: inout EpochRecords, _ learner: Learner) {
    for (index, layer) in learner.network.convolutions.enumerated() {
      if let quantizer = layer.weightQuantizer {
        records.layers[index].upperWeight = quantizer.upperBound
        records.layers[index].lowerWeight = quantizer.lowerBound
      }
      if let quantizer = layer.activationQuantizer {
        records.layers[index].upperActivation = quantizer.upperBound
        records.layers[index].lowerActivation = quantizer.lowerBound
      }
    }
  }
}
