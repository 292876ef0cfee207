import Kernels
import Runs
import Testing
import Training

@Suite("What launchers say of the processes that they started")
struct MPITests {
  @Test(
    "how many there are, and how many on this machine",
    arguments: [
      ([:], 1, 1), (["SLURM_NTASKS": "8", "SLURM_STEP_NUM_TASKS": "8"], 1, 1),
      (["OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_LOCAL_SIZE": "2", "OMPI_COMM_WORLD_RANK": "3"], 4, 2),
      (["PMI_SIZE": "8", "MPI_LOCALNRANKS": "8", "PMI_RANK": "0"], 8, 8),
      (["PMIX_RANK": "1", "SLURM_STEP_NUM_TASKS": "8", "SLURM_STEP_TASKS_PER_NODE": "4(x2)"], 8, 4),
    ] as [([String: String], Int, Int)])
  func counts(environment: [String: String], processes: Int, here: Int) {
    #expect(MPI.launchedProcesses(environment) == processes)
    #expect(MPI.processesHere(environment) == here)
  }

  @Test("a process that was started by itself trains alone")
  func alone() throws {
    let processes = try MPI.processes()
    #expect(processes.rank == 0 && processes.size == 1 && processes.isFirst)
    #expect(try processes.together { 7 } == 7)
  }
}
