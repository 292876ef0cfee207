/// The coarsest step that accuracies are multiples of: one over the number of test images, or a multiple of it where all
/// accuracies happen to be so.
///
/// - Parameter accuracies: shares of images, from 0 to 1.
/// - Returns: 0 where they are no multiples of 1/n for any n up to 200,000.
public func accuracyStep(_ accuracies: [Double]) -> Double {
  let distinct = Set(accuracies.filter(\.isFinite)).sorted()
  guard !distinct.isEmpty else { return 0 }
  let images = (1...200_000).first { images in
    distinct.allSatisfy { accuracy in
      let correct = accuracy * Double(images)
      return abs(correct - correct.rounded()) < 1e-7
    }
  }
  return images.map { 1 / Double($0) } ?? 0
}
