import Configuration
import ConfigurationSupport
import Datasets
import Testing
import Training

@Suite("Settings of pictures of any size")
struct PictureSettingsTests {
  private func load(_ members: String, set: [String] = []) throws -> Experiment {
    try experiment("{\(members), \(Mistake.minimal.dropFirst())", set: set)
  }

  @Test("what is left out: a shorter side of 8/7, a share of 0.08, the index in the tree, stopping")
  func defaults() throws {
    let loaded = try load(#""images": {"crop": 224}"#)
    let training = loaded.points[0].settings.training
    #expect(training.images == ImageCrop(side: 224, shorterSide: 256, smallestArea: 0.08))
    #expect(loaded.points[0].settings.pretraining.training.images == training.images)
    #expect(loaded.pictures?.index == nil && loaded.pictures?.decode == nil && loaded.pictures?.corrupt == .stop)
    #expect(try load(#""images": {"crop": 160}"#).points[0].settings.training.images?.shorterSide == 183)
    #expect(try load(#""title": "t""#).pictures == nil)
    let published = try load(#""model": "resnet18", "recipe": "lts", "images": {"crop": 224}"#)
    #expect(published.points[0].settings.training.images?.smallestArea == 0.2)
  }

  @Test("all of them, and as an axis")
  func given() throws {
    let loaded = try load(
      #""images": {"crop": 32, "resize": 40, "scale": 0.25}, "decode": "stream", "onCorruptImage": "skip", "index": "a.tsv""#,
      set: ["axes=[{\"images.crop\": [24, 32]}]"])
    #expect(loaded.points.map { $0.settings.training.images?.side } == [24, 32])
    #expect(loaded.points[0].settings.training.images?.smallestArea == 0.25)
    #expect(loaded.pictures?.decode == .stream && loaded.pictures?.corrupt == .skip)
    #expect(loaded.pictures?.index == "a.tsv")
  }

  @Test(
    "mistakes",
    arguments: [
      Mistake(
        adding: #""images": {"resize": 40}"#,
        "experiment.json: images.crop: missing; it is the side of the square that the network takes, such as 224"),
      Mistake(
        adding: #""images": {"crop": 2}"#,
        "experiment.json: images.crop: found 2, expected a whole number from 4 to 4096"),
      Mistake(
        adding: #""images": {"crop": 32, "scale": 0}"#,
        "experiment.json: images.scale: found 0, expected a number above 0 and at most 1"),
      Mistake(
        adding: #""decode": "stream""#,
        "experiment.json: decode: has no effect without \"images\", which cuts pictures of any size; remove it"),
      Mistake(
        adding: #""images": {"crop": 32}, "decode": "disk""#,
        "experiment.json: decode: unknown value \"disk\"; allowed: \"memory\", \"stream\""),
    ])
  func mistakes(_ mistake: Mistake) throws {
    #expect(try complaint(mistake.text) == mistake.message)
  }
}
