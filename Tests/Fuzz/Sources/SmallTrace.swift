import Storage

/// The smallest traces: two steps of one image, and one layer.
enum SmallTrace {
  /// Of each recipe, freezing and not.
  static var traces: ChangedFiles {
    ChangedFiles(
      [
        trace("fixed-scale", columns: ["weight_scale", "activation_scale"], extraBatches: 0, freezes: true),
        trace(
          "learned-range", columns: ["upper_weight", "lower_weight", "upper_activation", "lower_activation"],
          extraBatches: 1, freezes: false),
      ])
  }

  private static func trace(_ recipe: String, columns: [String], extraBatches: Int, freezes: Bool) -> [UInt8] {
    let (steps, side, layers) = (2, 4, ["conv1"])
    let batches = steps + extraBatches
    return SmallTraining.file { path in
      try HDF5File.writeAtomically(to: path) { root in
        let texts = [
          ("format", "qat-reference-trace"), ("recipe", recipe), ("model", "resnet8"),
          ("method", freezes ? "freeze" : "fullqat"), ("threshold_schedule", "fixed"),
          ("quantizer_columns", columns.joined(separator: ",")),
        ]
        for (name, value) in texts { try root.setAttribute(name, to: value) }
        let counts = [
          ("version", 1), ("clean_steps", 1), ("bits", 2), ("width", 2), ("num_classes", 2), ("epochs", 2),
          ("batches_per_epoch", 1), ("freeze_start_epoch", 1), ("frozen_level_moves", 0),
        ]
        for (name, value) in counts { try root.setAttribute(name, to: value) }
        let numbers = [
          ("threshold", 0.3), ("distance_ema", 0.9), ("momentum", 0.9), ("weight_decay", 1e-4), ("lr_model", 0.05),
          ("lr_quant", 0.001),
        ]
        for (name, value) in numbers { try root.setAttribute(name, to: value) }
        func write(_ name: String, _ shape: [Int]) throws {
          try root.write([Double](repeating: 0.5, count: shape.reduce(1, *)), shape: shape, to: name)
        }
        try root.write(layers, to: "layers")
        try write("steps/loss", [steps])
        try write("float32_deviation/loss", [steps])
        try root.write([Int32](repeating: 1, count: steps), shape: [steps, layers.count], to: "steps/frozen")
        try write("quantizer_init", [layers.count, columns.count])
        try write("steps/quantizer", [steps, layers.count, columns.count])
        try root.write([Int32](repeating: 1, count: batches), shape: [batches, 1], to: "batches/labels")
        try root.write(
          [Float](repeating: 0.25, count: batches * 3 * side * side), shape: [batches, 1, 3, side, side],
          to: "batches/images")
      }
    }
  }
}
