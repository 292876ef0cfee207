package import Quantization
import Recipes

/// What is wrong with one value, before its place is known.
package struct SettingProblem: Error, Equatable {
  package var text: String
}

/// How one kind of value stands in JSON, in experiment files and in stored runs alike.
package struct SettingCodec<Value: Sendable>: Sendable {
  /// What to write where the value is missing.
  let remedy: String
  package let schema: SettingSchema
  let decode: @Sendable (JSONValue) throws(SettingProblem) -> Value
  let encode: @Sendable (Value) -> JSONValue

  init(
    remedy: String, schema: SettingSchema,
    decode: @escaping @Sendable (JSONValue) throws(SettingProblem) -> Value,
    encode: @escaping @Sendable (Value) -> JSONValue
  ) {
    self.remedy = remedy
    self.schema = schema
    self.decode = decode
    self.encode = encode
  }

  /// - Parameters:
  ///   - expected: what is allowed, in words.
  ///   - read: nil refuses the value.
  init(
    expected: String, schema: SettingSchema, read: @escaping @Sendable (JSONValue) -> Value?,
    encode: @escaping @Sendable (Value) -> JSONValue
  ) {
    self.init(
      remedy: expected, schema: schema,
      decode: { json throws(SettingProblem) in
        guard let value = read(json) else { throw SettingProblem(text: "found \(json.found), expected \(expected)") }
        return value
      }, encode: encode)
  }

  /// The same with another remedy.
  func missing(_ remedy: String) -> SettingCodec {
    SettingCodec(remedy: remedy, schema: schema, decode: decode, encode: encode)
  }

  /// The same for a value that may be absent; absence itself is never written.
  var optional: SettingCodec<Value?> {
    var schema = schema
    schema.isOptional = true
    return SettingCodec<Value?>(
      remedy: remedy, schema: schema,
      decode: { [decode] json throws(SettingProblem) in try decode(json) },
      encode: { [encode] value in value.map(encode) ?? .null })
  }
}

extension SettingCodec<Bool> {
  static var bool: SettingCodec {
    SettingCodec(
      expected: "true or false", schema: SettingSchema(kind: .boolean),
      read: { if case .bool(let flag) = $0 { flag } else { nil } }, encode: JSONValue.bool)
  }
}

extension SettingCodec<String> {
  /// Pretrained weights, by the path of their file.
  static var weightsFile: SettingCodec {
    SettingCodec(
      expected: "the path of a safetensors file", schema: SettingSchema(kind: .string),
      read: { if case .string(let text) = $0, !text.isEmpty { text } else { nil } }, encode: JSONValue.string
    ).described(
      "A safetensors file with the full-precision network's weights, by PyTorch's names; none is trained then.")
  }

  static var string: SettingCodec {
    SettingCodec(
      expected: "a string", schema: SettingSchema(kind: .string),
      read: { if case .string(let text) = $0 { text } else { nil } }, encode: JSONValue.string)
  }
}

extension SettingCodec<String> {
  /// - Parameters:
  ///   - pattern: a regular expression that the whole string has to match.
  ///   - expected: what it stands for, in words.
  static func string(matching pattern: String, _ expected: String) -> SettingCodec {
    SettingCodec(
      remedy: expected, schema: SettingSchema(kind: .string, pattern: pattern),
      decode: { json throws(SettingProblem) in
        let text = try string.decode(json)
        guard let expression = try? Regex(pattern), text.wholeMatch(of: expression) != nil else {
          throw SettingProblem(text: "found \(JSONValue.quoted(text)), expected \(expected)")
        }
        return text
      }, encode: JSONValue.string)
  }
}

extension SettingCodec<Int> {
  /// Exact, however large.
  static func integer(in range: ClosedRange<Int>) -> SettingCodec {
    let isOpen = range.upperBound == Int.max
    let expected =
      "a whole number "
      + (isOpen ? "of at least \(range.lowerBound)" : "from \(range.lowerBound) to \(range.upperBound)")
    return SettingCodec(
      remedy: expected,
      schema: SettingSchema(
        kind: .integer, minimum: Double(range.lowerBound), maximum: isOpen ? nil : Double(range.upperBound)),
      decode: { json throws(SettingProblem) in
        if let integer = json.integer, range.contains(integer) { return integer }
        if isOpen, case .number(let number) = json, number >= JSONValue.firstInexact {
          throw SettingProblem(
            text: "found \(json.found), which is not held exactly; expected \(expected) and at most \(Int.max)")
        }
        throw SettingProblem(text: "found \(json.found), expected \(expected)")
      }, encode: JSONValue.integer)
  }
}

extension SettingCodec<UInt64> {
  /// 0...Int64.max
  static var seed: SettingCodec {
    let integer = SettingCodec<Int>.integer(in: 0...Int.max)
    return SettingCodec(
      remedy: integer.remedy, schema: integer.schema,
      decode: { json throws(SettingProblem) in UInt64(try integer.decode(json)) },
      encode: { seed in
        guard let seed = Int(exactly: seed) else { preconditionFailure("seeds are at most \(Int.max)") }
        return .integer(seed)
      })
  }
}

extension SettingCodec<[UInt64]> {
  /// At least one, each once.
  static var seeds: SettingCodec {
    SettingCodec(
      remedy: "a list of seeds such as [1, 2, 3]",
      schema: SettingSchema(kind: .array(of: SettingCodec<UInt64>.seed.schema, isSet: true)),
      decode: { json throws(SettingProblem) in
        guard case .array(let values) = json else {
          throw SettingProblem(text: "found \(json.found), expected a list")
        }
        var seeds: [UInt64] = []
        var seen: Set<UInt64> = []
        for value in values {
          let seed = try SettingCodec<UInt64>.seed.decode(value)
          guard seen.insert(seed).inserted else { throw SettingProblem(text: "\(seed) appears twice; keep one") }
          seeds.append(seed)
        }
        guard !seeds.isEmpty else { throw SettingProblem(text: "found an empty list, expected at least one seed") }
        return seeds
      }, encode: { .array($0.map(SettingCodec<UInt64>.seed.encode)) })
  }
}

extension SettingCodec<Double> {
  static var nonNegative: SettingCodec {
    number("of at least 0", SettingSchema(kind: .number, minimum: 0)) { $0 >= 0 }
  }
  static var positive: SettingCodec {
    number("above 0", SettingSchema(kind: .number, exclusiveMinimum: 0)) { $0 > 0 }
  }
  /// Momenta and the like.
  static var belowOne: SettingCodec {
    number(
      "from 0 to below 1", SettingSchema(kind: .number, minimum: 0, exclusiveMaximum: 1)
    ) { $0 >= 0 && $0 < 1 }
  }
  static var factor: SettingCodec {
    number(
      "above 0 and at most 1", SettingSchema(kind: .number, exclusiveMinimum: 0, maximum: 1)
    ) { $0 > 0 && $0 <= 1 }
  }
  static var any: SettingCodec {
    number("as it is", SettingSchema(kind: .number)) { _ in true }
  }

  /// - Parameter range: in words, after "a number".
  static func number(
    _ range: String, _ schema: SettingSchema, where isValid: @escaping @Sendable (Double) -> Bool
  ) -> SettingCodec {
    SettingCodec(
      expected: "a number \(range)", schema: schema,
      // Adding 0 makes −0 the 0 that it is equal to.
      read: { json in json.double.flatMap { isValid($0) ? $0 + 0 : nil } }, encode: JSONValue.number)
  }
}

extension SettingCodec {
  /// One of a list, by name.
  static func choice(
    _ choices: [Value], what: String = "value", named name: @escaping @Sendable (Value) -> String
  ) -> SettingCodec {
    let names = choices.map(name)
    return SettingCodec(
      remedy: "allowed: \(quotedList(names))", schema: SettingSchema(choices: names),
      decode: { json throws(SettingProblem) in
        guard case .string(let text) = json else {
          throw SettingProblem(text: "found \(json.found), expected one of \(quotedList(names))")
        }
        guard let choice = choices.first(where: { name($0) == text }) else {
          throw SettingProblem(text: unknownName(text, what: what, allowed: names))
        }
        return choice
      }, encode: { .string(name($0)) })
  }

  /// One of an enum's cases.
  static func choice() -> SettingCodec where Value: CaseIterable & RawRepresentable, Value.RawValue == String {
    choice(Array(Value.allCases), named: \.rawValue)
  }

  /// A list of at least one element.
  static func list<Element: Sendable>(
    of element: SettingCodec<Element>, _ expected: String
  ) -> SettingCodec where Value == [Element] {
    SettingCodec(
      remedy: expected, schema: SettingSchema(kind: .array(of: element.schema)),
      decode: { json throws(SettingProblem) in
        guard case .array(let elements) = json, !elements.isEmpty else {
          throw SettingProblem(text: "found \(json.found), expected \(expected)")
        }
        var values: [Element] = []
        for value in elements { values.append(try element.decode(value)) }
        return values
      }, encode: { .array($0.map(element.encode)) })
  }
}

extension SettingCodec<QuantizationScheme> {
  /// By the recipe that has it.
  static var scheme: SettingCodec {
    choice(Recipe.all.map(\.scheme), named: \.name)
  }
}

extension SettingCodec<Recipe> {
  static var recipe: SettingCodec {
    choice(Recipe.all, named: \.name)
  }
}

extension SettingCodec<FreezingCriterion> {
  static var criterion: SettingCodec {
    choice(FreezingCriterion.all, named: \.name)
  }
}

extension SettingCodec<ThresholdSchedule> {
  /// A constant, or a schedule by its name.
  package static var threshold: SettingCodec {
    let expected = "a number of at least 0, \(quotedAlternatives(ThresholdSchedule.names))"
    let constant = SettingCodec<Double>.nonNegative
    return SettingCodec(
      remedy: expected,
      schema: SettingSchema(kind: .number, choices: ThresholdSchedule.names, minimum: 0),
      decode: { json throws(SettingProblem) in
        if case .string(let name) = json {
          if let schedule = ThresholdSchedule(named: name) { return schedule }
          throw SettingProblem(
            text: name == "fixed"
              ? "found \"fixed\"; write the threshold itself, as a share of a level (0.1)"
              : unknownName(name, what: "schedule", allowed: ThresholdSchedule.names))
        }
        guard let threshold = try? constant.decode(json) else {
          throw SettingProblem(text: "found \(json.found), expected \(expected)")
        }
        return .fixed(threshold)
      },
      encode: { schedule in
        switch schedule.label {
        case .constant(let threshold): .number(threshold)
        case .name(let name): .string(name)
        }
      })
  }

  /// As labels hold it.
  package static func label(_ schedule: ThresholdSchedule) -> String { threshold.encode(schedule).plain }
}

extension SettingCodec<FreezingStop> {
  /// A duration, or "match".
  static var stop: SettingCodec {
    SettingCodec(
      remedy: "\(TrainingDuration.units), or \"match\": such that as many updates are eliminated as by \"distance\"",
      schema: SettingSchema(kind: .string, pattern: "[0-9.]+(ep|%|it)|match", examples: ["40%", "match"]),
      decode: { json throws(SettingProblem) in
        json == .string("match") ? .matched : .after(try TrainingDuration(json))
      },
      encode: { stop in
        switch stop {
        case .after(let duration): .string(duration.description)
        case .matched: .string("match")
        }
      }
    ).described(
      "clock only: the step after which everything freezes, or match: such that as many updates are eliminated as by "
        + "distance with the same threshold and start.")
  }
}

extension SettingCodec<TrainingDuration> {
  static var duration: SettingCodec {
    SettingCodec(
      remedy: TrainingDuration.units,
      schema: SettingSchema(kind: .string, pattern: "[0-9.]+(ep|%|it)", examples: ["80ep", "20%", "500it"]),
      decode: { json throws(SettingProblem) in try TrainingDuration(json) }, encode: { .string($0.description) })
  }

  /// Of a whole run.
  static var runLength: SettingCodec {
    SettingCodec(
      remedy: TrainingDuration.units,
      schema: SettingSchema(kind: .string, pattern: "[0-9.]+(ep|it)", examples: ["80ep", "500it"]),
      decode: { json throws(SettingProblem) in
        let duration = try TrainingDuration(json)
        switch duration {
        case .percent:
          throw SettingProblem(text: "found \"\(duration)\"; a run's own length is in epochs or steps")
        case .epochs(0), .steps(0): throw SettingProblem(text: "found \"\(duration)\"; a run needs at least one step")
        default: return duration
        }
      }, encode: { .string($0.description) })
  }
}
