// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .treatAllWarnings(as: .error),
]

let numeric: [CSetting] = [
  .define("_GNU_SOURCE")
]

/// `make fuzz`: of C what reads files is instrumented. Kernels, which see no byte of a file that nobody has checked, are
/// compiled as fast as possible.
let isFuzzed = Context.environment["SPQAT_FUZZ"] != nil
let reading: [CSetting] =
  isFuzzed ? [.unsafeFlags(["-fsanitize=fuzzer-no-link,address,undefined", "-fno-sanitize-recover=all"])] : []
let computing: [CSetting] = isFuzzed ? [.unsafeFlags(["-O1"])] : []

func module(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency] = [], exclude: [String] = []) -> Target {
  .testTarget(
    name: "\(name)Tests", dependencies: [.byName(name: name), "TestSupport"] + dependencies,
    path: "Tests/\(name)Tests", exclude: exclude, swiftSettings: strict)
}

let package = Package(
  name: "spqat",
  products: [.executable(name: "spqat", targets: ["spqat"])],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
  ],
  targets: [
    .target(name: "CKernels", cSettings: numeric + computing),
    .target(name: "CPNG", cSettings: numeric + reading, linkerSettings: [.linkedLibrary("png"), .linkedLibrary("z")]),
    .target(name: "CResample", linkerSettings: [.linkedLibrary("m")]),
    .target(name: "CGzip", cSettings: reading, linkerSettings: [.linkedLibrary("z")]),
    .systemLibrary(
      name: "CHDF5System", path: "Sources/CHDF5System", pkgConfig: "hdf5", providers: [.apt(["libhdf5-dev"])]),
    .target(name: "CHDF5", dependencies: ["CHDF5System"], cSettings: numeric + reading),

    module("Host", []),
    module("Tensor", []),
    module("Statistics", []),
    module("Kernels", ["CKernels", "Tensor"]),
    module("Quantization", ["Kernels", "Tensor"]),
    module("Networks", ["Quantization", "Kernels", "Tensor"]),
    module("Diagnostics", []),
    module("Files", ["Diagnostics"]),
    module("Tables", []),
    module("Storage", ["CHDF5", "Diagnostics", "Files", "Tables"]),
    module(
      "Datasets",
      [
        "CGzip", "CPNG", "CResample", "Diagnostics", "Host", "Tensor",
        .product(name: "Crypto", package: "swift-crypto"),
      ]),
    module("Recipes", ["Training", "Networks", "Quantization", "Kernels", "Datasets"]),
    module(
      "Training", ["Networks", "Quantization", "Kernels", "Datasets", "Diagnostics", "Records", "Storage", "Tensor"]),
    module(
      "Verification",
      ["Recipes", "Training", "Networks", "Quantization", "Kernels", "Diagnostics", "Storage", "Tensor"]),
    module("Records", ["Diagnostics", "Files", "Statistics", "Storage", "Tables"]),
    module(
      "Configuration",
      [
        "Recipes", "Training", "Networks", "Quantization", "Kernels", "Datasets", "Diagnostics", "Statistics",
        .product(name: "Crypto", package: "swift-crypto"),
      ]),
    module(
      "Interchange",
      [
        "Configuration", "Recipes", "Training", "Datasets", "Networks", "Kernels", "Tensor", "Quantization", "Records",
        "Storage", "Tables", "Files",
        "Diagnostics", .product(name: "Crypto", package: "swift-crypto"),
      ]),
    module(
      "Runs",
      [
        "Interchange", "Configuration", "Recipes", "Training", "Networks", "Quantization", "Kernels", "Datasets",
        "Diagnostics",
        "Records", "Storage", "Host",
      ]),
    module("LotteryTicket", ["Records"]),
    module(
      "Reporting",
      ["Diagnostics", "Files", "Host", "LotteryTicket", "Recipes", "Records", "Statistics", "Storage", "Tables"]),
    module(
      "Benchmarking",
      ["Recipes", "Training", "Networks", "Quantization", "Kernels", "Storage", "Tables", "Tensor"]),
    .executableTarget(
      name: "spqat",
      dependencies: [
        "Benchmarking", "Diagnostics", "Configuration", "Recipes", "Runs", "Reporting", "Interchange", "Records",
        "Verification",
        "Training", "Networks",
        "Quantization",
        "Kernels", "Datasets",
        "Statistics", "Storage", "Tables", "Host", "Tensor",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict),

    .target(
      name: "TestSupport", dependencies: ["Storage", "Tensor"], path: "Tests/TestSupport", swiftSettings: strict),
    tests("Host"),
    tests("Tensor"),
    tests("Statistics", exclude: ["make_reference.py", "reference.json"]),
    tests("Kernels", ["CKernels", "Tensor"]),
    tests("Quantization", ["Kernels", "Tensor"]),
    tests("Networks", ["Recipes", "Quantization", "Kernels", "Tensor"]),
    tests("Diagnostics"),
    tests("Files"),
    tests("Tables"),
    tests("Storage", ["CHDF5", "Diagnostics", "Tables"], exclude: ["read_tables.py", "write_foreign.py"]),
    tests(
      "Datasets", ["CPNG", "Diagnostics", "Tensor", .product(name: "Crypto", package: "swift-crypto")],
      exclude: ["make_imagenet.py", "make_pngs.py", "make_resampling.py", "resampling.json"]),
    tests("Recipes", ["Quantization", "Datasets", "Tensor"]),
    tests(
      "Training",
      ["Recipes", "Networks", "Quantization", "Kernels", "Datasets", "Diagnostics", "Records", "Storage", "Tensor"]),
    tests("Verification", ["Training", "Quantization", "Kernels", "Diagnostics", "Storage", "Tensor"]),
    tests("Records", ["Statistics", "Storage", "Tables"]),
    .target(
      name: "ConfigurationSupport", dependencies: ["Configuration", "Datasets", "TestSupport"],
      path: "Tests/ConfigurationSupport", swiftSettings: strict),
    tests(
      "Configuration",
      ["ConfigurationSupport", "Diagnostics", "Recipes", "Training", "Networks", "Quantization", "Statistics"]),
    tests(
      "Runs",
      [
        "ConfigurationSupport", "Configuration", "Diagnostics", "Recipes", "Training", "Quantization", "Kernels",
        "Datasets",
        "Records",
        "Host",
      ]),
    tests(
      "Interchange",
      [
        "Configuration", "Datasets", "Diagnostics", "Kernels", "Networks", "Quantization", "Recipes", "Records",
        "Tensor", "Training",
      ], exclude: ["make_torchvision.py", "read_tensorboard.py", "run_onnx.py"]),
    tests("LotteryTicket", ["Records", "Tensor"]),
    tests("Reporting", ["Diagnostics", "Host", "Records", "Statistics", "Storage", "Tables"]),
    tests("Benchmarking"),
    .testTarget(
      name: "CommandLineTests", dependencies: ["spqat", "Datasets", "Host", "TestSupport", "Records", "Storage"],
      path: "Tests/CommandLineTests", swiftSettings: strict),
  ]
)

// A program without a main function, which libFuzzer brings.
if isFuzzed {
  package.products.append(.executable(name: "fuzz", targets: ["fuzz"]))
  package.targets.append(
    .executableTarget(
      name: "fuzz",
      dependencies: [
        "Configuration", "Datasets", "Interchange", "Networks", "Quantization", "Recipes", "Records", "Runs", "Storage",
        "Tensor", "Training", "Verification",
      ],
      path: "Tests/Fuzz/Sources",
      swiftSettings: strict))
}

// `make sanitize` builds everything once more for each sanitizer: of the tests only those that it runs.
if Context.environment["SPQAT_SANITIZE"] != nil {
  let sanitized = ["KernelsTests", "TensorTests", "StorageTests", "DatasetsTests", "TrainingTests"]
  package.targets.removeAll { $0.type == .test && !sanitized.contains($0.name) }
}
