import Configuration
import ConfigurationSupport
import Testing

@Suite("Slurm settings of experiment files")
struct SlurmSettingsTests {
  @Test("have defaults")
  func defaults() throws {
    #expect(try experiment(TinyExperiment.text).slurm == SlurmSettings())
    #expect(try experiment(TinyExperiment.text, set: ["slurm=null"]).slurm == SlurmSettings())
  }

  @Test("are read from the file and the command line, and no part of the runs")
  func read() throws {
    let section = #"{"slurm": {"time": "1-12:00:00", "memory": "500M", "cpus": 8, "partition": "cpu,long"}, "#
    let loaded = try experiment(section + TinyExperiment.text.dropFirst(), set: ["slurm.time=02:00:00"])
    #expect(loaded.slurm.time == "02:00:00")
    #expect(loaded.slurm.memory == "500M")
    #expect(loaded.slurm.cpus == 8)
    #expect(loaded.slurm.partition == "cpu,long")
    #expect(try loaded.points == experiment(TinyExperiment.text).points)
  }

  @Test(
    "are refused with what is allowed",
    arguments: [
      Mistake(
        adding: #""slurm": {"memroy": "4G"}"#,
        "experiment.json: slurm.memroy: unknown key \"memroy\"; did you mean \"memory\"? allowed: \"time\", \"memory\", "
          + "\"cpus\", \"nodes\", \"tasksPerNode\", \"partition\""),
      Mistake(
        adding: #""slurm": {"time": "2h"}"#,
        "experiment.json: slurm.time: found \"2h\", expected hours:minutes:seconds such as \"04:00:00\", or "
          + "\"2-00:00:00\""),
      Mistake(
        adding: #""slurm": {"time": "00:04:59"}"#,
        "experiment.json: slurm.time: found \"00:04:59\", expected at least 5 minutes: a task's last two are for its "
          + "checkpoint"),
      Mistake(
        adding: #""slurm": {"memory": "4 GB"}"#,
        "experiment.json: slurm.memory: found \"4 GB\", expected a whole number with M, G or T, such as \"4G\""),
      Mistake(
        adding: #""slurm": {"cpus": 0}"#,
        "experiment.json: slurm.cpus: found 0, expected a whole number from 1 to 1024"),
      Mistake(
        adding: #""slurm": {"nodes": 65}"#,
        "experiment.json: slurm.nodes: found 65, expected a whole number from 1 to 64"),
      Mistake(
        adding: #""slurm": {"partition": "a\n#SBATCH --nice"}"#,
        "experiment.json: slurm.partition: found \"a\\n#SBATCH --nice\", expected a partition's name; see 'sinfo "
          + "--summarize'"),
      Mistake(
        #"{"name": "x", "bits": {"weights": 4, "activations": 4}, "method": "fullQAT", "axes": [{"slurm.cpus": [1, 2]}]}"#,
        "experiment.json: axes.slurm.cpus: unknown axis \"slurm\"; allowed: \"subset\", \"recipe\", \"model\", \"bits\", "
          + "\"images\", \"method\", \"freezing\", \"rangeGradient\", \"gradients\", \"duration\", "
          + "\"batchSize\", \"microbatch\", \"dropLastPartialBatch\", \"augment\", \"optimizer\", "
          + "\"learningRate\", \"pretraining\""),
    ])
  func mistakes(_ mistake: Mistake) throws {
    #expect(try complaint(mistake.text) == mistake.message)
  }
}
