import Records
import Tables

extension ReportFigures {
  /// The frozen share of each layer after each epoch, a heat map for each setting.
  mutating func addLayers() {
    let shown = families.flatMap { family in family.map { (familyName(family[0]), $0) } }.compactMap {
      family, summary in
      summary.setting.kind != .freeze
        ? nil
        : (summary.setting.finished.first ?? summary.setting.runs.first).map {
          (family: family, summary: summary, run: $0)
        }
    }.filter { !$0.run.layerEpochs.isEmpty }
    for (index, item) in shown.enumerated() {
      let layers = item.run.layers.filter { $0.freezableWeights > 0 }
      let rows = item.run.layerEpochs.compactMap { record in
        layers.firstIndex { $0.name == record.layer }.map { (position: $0, record: record) }
      }
      guard !rows.isEmpty else { continue }
      let file = "layers-\(index + 1)"
      add(
        file,
        [
          .init("epoch", .integers(rows.map(\.record.epoch))),
          .init("position", description: "From the input", .integers(rows.map(\.position))),
          .init("layer", .strings(rows.map(\.record.layer))),
          .init(
            "frozen", unit: "%", description: "After the epoch's last step",
            .doubles(rows.map { 100 * Double($0.record.frozen) / Double(layers[$0.position].freezableWeights) })),
        ], title: item.run.label)
      let epochs = item.run.epochs.last?.epoch ?? 1
      // An image needs two columns, and many rectangles make a large file.
      let cells =
        epochs > 60
        ? "'\(file).csv' using 'epoch':'position':'frozen' with image"
        : HeatMap.boxes(
          file, x: "'epoch'", from: "(column('epoch') - 0.51)", to: "(column('epoch') + 0.51)", value: "frozen")
      figures.append(
        Figure(
          name: file, title: "Frozen share by layer: \(item.family) \(name(item.summary))",
          caption:
            "Frozen weights of each layer after each epoch, seed \(item.run.provenance.seed); layers from the input (top) to "
            + "the output.", data: ["\(file).csv"], width: 720, height: 130 + 18 * layers.count,
          commands: HeatMap.commands(layers: layers.map(\.name), label: "frozen weights (%)") + [
            "set xlabel 'epoch'", "set xrange [0.5:\(Double(epochs) + 0.5)]",
            epochs <= 12 ? "set xtics 1" : "set xtics auto", Figure.plot([cells]),
          ]))
    }
  }
}
