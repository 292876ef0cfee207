import Foundation
import Records

/// What TensorBoard shows of a run, as the records of an event file.
///
/// A record is a TFRecord: the length of its data as 8 bytes, the length's masked checksum, the data and their masked checksum,
/// all little-endian; the data are an `Event` (tensorboard/compat/proto/event.proto, summary.proto). Times are the run's start
/// and the seconds that its epochs took, so that the same record of a run gives the same bytes whenever they are written.
struct EventRecords {
  /// Seconds since 1970: the run's start, then the end of the last epoch.
  private var time: Double
  /// Of the last epoch.
  private var step = 0
  private var epochs = 0

  /// - Parameter started: seconds since 1970.
  init(started: Double) { time = started }

  /// What begins a file.
  var header: Data { Self.record(time: time) { $0.add(3, "brain.Event:2") } }

  /// Scalars of the epochs that are new in `all`, each after the histograms of its steps.
  /// - Parameter distances: of the steps in a range.
  mutating func records(of all: [EpochRecord], distances: (ClosedRange<Int>) -> [WeightDistances]) -> Data {
    var data = Data()
    for epoch in all.dropFirst(epochs) {
      time += epoch.seconds.total
      if step < epoch.step {
        for distances in distances(step + 1...epoch.step) { data += Self.histograms(distances, time: time) }
      }
      data += Self.scalars(epoch, time: time)
      step = epoch.step
    }
    epochs = max(epochs, all.count)
    return data
  }

  private static func histograms(_ distances: WeightDistances, time: Double) -> Data {
    let kinds = [("unfrozen", distances.unfrozen), ("frozen", distances.frozen)].filter { $0.1.contains { $0 > 0 } }
    return summary(step: distances.step, time: time) { summary in
      for (kind, counts) in kinds {
        summary.add(1) { value in
          value.add(1, "distance_to_level/\(kind)")
          value.add(5, histogram(counts))
        }
      }
    }
  }

  private static func scalars(_ epoch: EpochRecord, time: Double) -> Data {
    summary(step: epoch.step, time: time) { summary in
      for (tag, scalar) in tags {
        guard let number = scalar(epoch), number.isFinite else { continue }
        summary.add(1) { value in
          value.add(1, tag)
          value.add(2, Float(number))
        }
      }
    }
  }

  /// TensorBoard sorts them under what is before the slash.
  private static let tags: [(tag: String, value: @Sendable (EpochRecord) -> Double?)] = [
    ("loss/train", { $0.trainLoss }),
    ("loss/test", { $0.testLoss }),
    ("top1/train", { $0.trainTopOne }),
    ("top1/test", { $0.testTopOne }),
    ("top5/test", { $0.testTopFive }),
    ("epoch", { Double($0.epoch) }),
    ("learning_rate", { $0.learningRate }),
    ("freezing/threshold", { $0.threshold }),
    ("freezing/frozen_share", { $0.frozenShare }),
    ("freezing/mean_frozen_share", { $0.meanFrozenShare }),
    ("seconds/epoch", { $0.seconds.total }),
    ("seconds/forward", { $0.seconds.forward }),
    ("seconds/input_gradient", { $0.seconds.inputGradient }),
    ("seconds/weight_gradient", { $0.seconds.weightGradient }),
    ("seconds/data", { $0.seconds.data }),
    ("seconds/evaluation", { $0.seconds.evaluation }),
  ]

  /// A `HistogramProto` of D/u, from the first to the last bin that has weights. What is beyond a spacing counts as just
  /// above it; sums take every weight in the middle of its bin.
  private static func histogram(_ counts: [Int]) -> ProtobufMessage {
    let first = counts.firstIndex { $0 > 0 } ?? 0
    let last = counts.lastIndex { $0 > 0 } ?? 0
    let width = DistanceBins.upperEdges[0]
    let uppers = (first...last).map { $0 == DistanceBins.count - 1 ? 1 + width : DistanceBins.upperEdges[$0] }
    let numbers = counts[first...last].map(Double.init)
    let middles = uppers.map { $0 - width / 2 }
    var message = ProtobufMessage()
    message.add(1, double: uppers[0] - width)
    message.add(2, double: uppers[uppers.count - 1])
    message.add(3, double: numbers.reduce(0, +))
    message.add(4, double: zip(numbers, middles).reduce(0) { $0 + $1.0 * $1.1 })
    message.add(5, double: zip(numbers, middles).reduce(0) { $0 + $1.0 * $1.1 * $1.1 })
    message.add(6, doubles: uppers)
    message.add(7, doubles: numbers)
    return message
  }

  private static func summary(step: Int, time: Double, _ build: (inout ProtobufMessage) -> Void) -> Data {
    record(time: time) { event in
      event.add(2, step)
      event.add(5, build)
    }
  }

  private static func record(time: Double, _ build: (inout ProtobufMessage) -> Void) -> Data {
    var event = ProtobufMessage()
    event.add(1, double: time)
    build(&event)
    var length = Data()
    length.append(littleEndian: UInt64(event.bytes.count))
    var record = length
    record.append(littleEndian: CRC32C.masked(length))
    record += event.bytes
    record.append(littleEndian: CRC32C.masked(event.bytes))
    return record
  }
}
