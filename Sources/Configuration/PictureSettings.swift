public import Datasets

/// How pictures of any size are found and read; changes no result, so no run's id.
public struct PictureSettings: Hashable, Sendable {
  /// Where the index is; nil: in the tree.
  public var index: String?
  /// nil: by the size of the decoded pictures.
  public var decode: PictureDecoding?
  /// What becomes of pictures that cannot be decoded.
  public var corrupt: CorruptPictures

  static let outlines = [
    SettingOutline("index", .string.described("Where the index of the pictures is; in the tree where absent.")),
    SettingOutline("decode", .decoding),
    SettingOutline("onCorruptImage", .corruption, default: .stop),
  ]

  /// - Parameter isUsed: whether runs cut their images out of pictures of any size.
  init?(_ root: ObjectReader, isUsed: Bool) throws(SettingError) {
    guard isUsed else {
      for key in ["index", "decode", "onCorruptImage"] {
        try root.refuse(key, because: "has no effect without \"images\", which cuts pictures of any size; remove it")
      }
      return nil
    }
    index = try root.value("index", .string)
    decode = try root.value("decode", .decoding)
    corrupt = try root.value("onCorruptImage", .corruption) ?? .stop
  }
}

extension SettingCodec<PictureDecoding> {
  fileprivate static var decoding: SettingCodec {
    choice().described(
      "memory: every picture is decoded once. stream: again for every image, by threads ahead of training. By the "
        + "size of the decoded pictures where absent.")
  }
}

extension SettingCodec<CorruptPictures> {
  fileprivate static var corruption: SettingCodec {
    choice().described(
      "stop: a picture that cannot be decoded ends the run. skip: its batch has an image less, and the results count it."
    )
  }
}

extension ImageCrop {
  /// Keys of the section `images`, and of the canonical form.
  static let settings: [Setting<ImageCrop>] = [
    Setting("crop", \.side, .integer(in: 4...4096).described("Side of the square that the network takes, in pixels.")),
    Setting(
      "resize", \.shorterSide,
      .integer(in: 4...4096).described(
        "Length of a test picture's shorter side before its centre is cut out; 8/7 of crop where absent.")),
    Setting(
      "scale", \.smallestArea,
      .factor.described(
        "The smallest share of a picture's area that training cuts out; where absent 0.08, and 0.2 for lts and resnet18."
      )),
  ]

  /// To be filled in.
  static let blank = ImageCrop(side: 224, shorterSide: 256, smallestArea: 0.08)

  /// - Parameters:
  ///   - section: the section `images`.
  ///   - smallestArea: where the section has no `scale`; nil: torchvision's.
  init(_ section: ObjectReader, smallestArea published: Double?) throws(SettingError) {
    self = .blank
    smallestArea = published ?? smallestArea
    guard section.has("crop") else {
      throw section.fail("crop", "missing; it is the side of the square that the network takes, such as 224")
    }
    try section.readPresent(Self.settings, into: &self)
    if !section.has("resize") { shorterSide = (side * 8 + 3) / 7 }
  }
}
