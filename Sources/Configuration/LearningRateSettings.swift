import Training

enum LearningRateScheduleName: String, CaseIterable, Sendable {
  case constant, step, cosine
}

/// A schedule whose parts are read and set one by one; those of another schedule are nil, and setting them does nothing.
protocol LearningRateParts: Sendable {
  /// A time within the run, as far as it is known.
  associatedtype Moment: Equatable & Sendable
  static var momentCodec: SettingCodec<Moment> { get }

  /// Another schedule begins with parts to be filled in.
  var name: LearningRateScheduleName { get set }
  var stepParts: StepParts<Moment>? { get set }
}

struct StepParts<Moment: Equatable & Sendable>: Equatable, Sendable {
  var milestones: [Moment]
  var factor: Double
}

extension LearningRateParts {
  static var commonSettings: [Setting<Self>] {
    [
      Setting("schedule", \.name, .choice().described("The factor's course over the run.")),
      Setting(
        "milestones", \.milestones,
        .list(of: momentCodec, "a list of durations such as [\"50%\", \"75%\"]")
          .described("When learning rates are multiplied."),
        with: ("schedule", "step")
      ) { $0.name.rawValue },
      Setting(
        "factor", \.factor,
        .factor.missing("the learning rate is multiplied by it at each milestone (0.1)")
          .described("By which they are multiplied."), with: ("schedule", "step")
      ) { $0.name.rawValue },
    ]
  }

  private var milestones: [Moment]? {
    get { stepParts?.milestones }
    set { if let newValue { stepParts?.milestones = newValue } }
  }

  private var factor: Double? {
    get { stepParts?.factor }
    set { if let newValue { stepParts?.factor = newValue } }
  }
}

extension LearningRateSettings: LearningRateParts {
  static let settings = commonSettings
  static var momentCodec: SettingCodec<TrainingDuration> { .duration }

  var name: LearningRateScheduleName {
    get {
      switch self {
      case .constant: .constant
      case .step: .step
      case .cosine: .cosine
      }
    }
    set {
      guard newValue != name else { return }
      switch newValue {
      case .constant: self = .constant
      case .step: self = .step(milestones: [], factor: 1)
      case .cosine: self = .cosine
      }
    }
  }

  var stepParts: StepParts<TrainingDuration>? {
    get {
      guard case .step(let milestones, let factor) = self else { return nil }
      return StepParts(milestones: milestones, factor: factor)
    }
    set { if let newValue { self = .step(milestones: newValue.milestones, factor: newValue.factor) } }
  }
}

extension LearningRateSchedule: LearningRateParts {
  static let settings =
    commonSettings + [
      Setting("totalSteps", \.totalSteps, .integer(in: 1...Int(Int32.max)), with: ("schedule", "cosine")) {
        $0.name.rawValue
      }
    ]
  static var momentCodec: SettingCodec<Int> { .integer(in: 0...Int(Int32.max)) }

  var name: LearningRateScheduleName {
    get {
      switch self {
      case .constant: .constant
      case .step: .step
      case .cosine: .cosine
      }
    }
    set {
      guard newValue != name else { return }
      switch newValue {
      case .constant: self = .constant
      case .step: self = .step(milestones: [0], factor: 1)
      case .cosine: self = .cosine(totalSteps: 1)
      }
    }
  }

  var stepParts: StepParts<Int>? {
    get {
      guard case .step(let milestones, let factor) = self else { return nil }
      return StepParts(milestones: milestones, factor: factor)
    }
    set { if let newValue { self = .step(milestones: newValue.milestones, factor: newValue.factor) } }
  }

  private var totalSteps: Int? {
    get { if case .cosine(let totalSteps) = self { totalSteps } else { nil } }
    set { if case .cosine = self, let newValue { self = .cosine(totalSteps: newValue) } }
  }
}
