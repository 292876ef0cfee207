// Times oneDNN's convolutions in the 3x3 shapes of ResNet-20 and prints one JSON object: milliseconds a call by layer
// and over the network, each layer as often as it occurs. Built by bench-peer.sh where libdnnl-dev is installed.
//
//   onednn_convolutions [--batch 128] [--size 32] [--threads 2] [--calls 5]
//
// Forward in float32 and, of all layers but the first (which reads images), of levels: unsigned bytes by signed ones to
// floats; gradients of inputs (of all but the first) and of weights in float32. Every operation has its operands in the
// memory formats that oneDNN prefers for it: what brings them there is outside of the timed part, and a layer's
// operands are the same in every call, so that small ones stay in the caches. Both favour oneDNN over a step that does
// the same.
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <unordered_map>
#include <vector>

#include <oneapi/dnnl/dnnl.hpp>

using dnnl::algorithm;
using dnnl::memory;
using dnnl::prop_kind;

// A shape of convolutions, its side that of its output, and how many layers of the network have it.
struct Layer {
  int inputs, outputs, side, stride, count;
};

struct Options {
  int batch = 128, size = 32, threads = 2, calls = 5;
};

// The operations of a step, as the JSON object names them, and the median time of a call of each; nothing where
// negative.
static const std::vector<const char *> operations = {"forward", "forwardBytes", "inputGradient", "weightGradient"};
struct Timing {
  double milliseconds = -1;
  std::string implementation;
};

class Bench {
 public:
  explicit Bench(const Options &options) : options(options), engine(dnnl::engine::kind::cpu, 0), stream(engine) {}

  std::vector<Timing> time(const Layer &layer) {
    const bool first = layer.inputs == 3;
    const memory::dims input = {options.batch, layer.inputs, layer.side * layer.stride, layer.side * layer.stride};
    const memory::dims weight = {layer.outputs, layer.inputs, 3, 3};
    const memory::dims output = {options.batch, layer.outputs, layer.side, layer.side};
    std::vector<Timing> timings(operations.size());

    const auto forward = forward_operation(layer, prop_kind::forward_training, any(input), any(weight), any(output));
    memory result = empty(forward.dst_desc());
    timings[0] = median_time<dnnl::convolution_forward>(
        forward, {{DNNL_ARG_SRC, levels(input, forward.src_desc(), 0)},
                  {DNNL_ARG_WEIGHTS, levels(weight, forward.weights_desc(), -2)},
                  {DNNL_ARG_DST, result}});
    if (!first) {
      const auto bytes = forward_operation(
          layer, prop_kind::forward_inference, any(input, memory::data_type::u8), any(weight, memory::data_type::s8),
          any(output));
      memory of_bytes = empty(bytes.dst_desc());
      timings[1] = median_time<dnnl::convolution_forward>(
          bytes, {{DNNL_ARG_SRC, levels(input, bytes.src_desc(), 0)},
                  {DNNL_ARG_WEIGHTS, levels(weight, bytes.weights_desc(), -2)},
                  {DNNL_ARG_DST, of_bytes}});
      // Levels are small integers, so their sums are whole numbers; minimal filtering rounds on the way.
      const auto floats = plain(result, output), sums = plain(of_bytes, output);
      if (!std::equal(
              floats.begin(), floats.end(), sums.begin(), [](float a, float b) { return std::abs(a - b) < 0.5f; }))
        throw std::string("bytes and floats give different sums");
      const auto backward = input_gradient_operation(layer, any(input), any(weight), any(output), forward);
      timings[2] = median_time<dnnl::convolution_backward_data>(
          backward, {{DNNL_ARG_DIFF_SRC, empty(backward.diff_src_desc())},
                     {DNNL_ARG_WEIGHTS, levels(weight, backward.weights_desc(), -2)},
                     {DNNL_ARG_DIFF_DST, levels(output, backward.diff_dst_desc(), -2)}});
    }
    const auto backward = weight_gradient_operation(layer, any(input), any(weight), any(output), forward);
    timings[3] = median_time<dnnl::convolution_backward_weights>(
        backward, {{DNNL_ARG_SRC, levels(input, backward.src_desc(), 0)},
                   {DNNL_ARG_DIFF_WEIGHTS, empty(backward.diff_weights_desc())},
                   {DNNL_ARG_DIFF_DST, levels(output, backward.diff_dst_desc(), -2)}});
    return timings;
  }

 private:
  Options options;
  dnnl::engine engine;
  dnnl::stream stream;

  using Forward = dnnl::convolution_forward::primitive_desc;
  using InputGradient = dnnl::convolution_backward_data::primitive_desc;
  using WeightGradient = dnnl::convolution_backward_weights::primitive_desc;
  using Desc = memory::desc;

  // Up to version 2 a primitive's description was made of an operation's.
#if DNNL_VERSION_MAJOR >= 3
  Forward forward_operation(const Layer &layer, prop_kind kind, Desc input, Desc weight, Desc output) {
    return {engine, kind, algorithm::convolution_auto, input, weight, output, strides(layer), {1, 1}, {1, 1}};
  }
  InputGradient input_gradient_operation(
      const Layer &layer, Desc input, Desc weight, Desc output, const Forward &hint) {
    return {engine, algorithm::convolution_auto, input, weight, output, strides(layer), {1, 1}, {1, 1}, hint};
  }
  WeightGradient weight_gradient_operation(
      const Layer &layer, Desc input, Desc weight, Desc output, const Forward &hint) {
    return {engine, algorithm::convolution_auto, input, weight, output, strides(layer), {1, 1}, {1, 1}, hint};
  }
#else
  Forward forward_operation(const Layer &layer, prop_kind kind, Desc input, Desc weight, Desc output) {
    return {{kind, algorithm::convolution_auto, input, weight, output, strides(layer), {1, 1}, {1, 1}}, engine};
  }
  InputGradient input_gradient_operation(
      const Layer &layer, Desc input, Desc weight, Desc output, const Forward &hint) {
    return {{algorithm::convolution_auto, input, weight, output, strides(layer), {1, 1}, {1, 1}}, engine, hint};
  }
  WeightGradient weight_gradient_operation(
      const Layer &layer, Desc input, Desc weight, Desc output, const Forward &hint) {
    return {{algorithm::convolution_auto, input, weight, output, strides(layer), {1, 1}, {1, 1}}, engine, hint};
  }
#endif

  static memory::dims strides(const Layer &layer) { return {layer.stride, layer.stride}; }

  static Desc any(const memory::dims &dims, memory::data_type type = memory::data_type::f32) {
    return {dims, type, memory::format_tag::any};
  }

  // Integers from `lowest` to `lowest` + 3, as weights and activations of 2 bits are, in the format of `wanted`.
  memory levels(const memory::dims &dims, const Desc &wanted, int lowest) {
    memory source({dims, memory::data_type::f32, memory::format_tag::nchw}, engine), target(wanted, engine);
    float *values = static_cast<float *>(source.get_data_handle());
    unsigned state = 1;
    for (size_t index = 0; index < source.get_desc().get_size() / sizeof(float); index++) {
      state = state * 1664525 + 1013904223;
      values[index] = lowest + (int)(state >> 30);
    }
    dnnl::reorder(source, target).execute(stream, source, target);
    stream.wait();
    return target;
  }

  memory empty(const Desc &wanted) { return memory(wanted, engine); }

  std::vector<float> plain(memory source, const memory::dims &dims) {
    memory target({dims, memory::data_type::f32, memory::format_tag::nchw}, engine);
    dnnl::reorder(source, target).execute(stream, source, target);
    stream.wait();
    const float *values = static_cast<const float *>(target.get_data_handle());
    return {values, values + target.get_desc().get_size() / sizeof(float)};
  }

  template <typename Primitive, typename Description>
  Timing median_time(const Description &description, const std::unordered_map<int, memory> &operands) {
    const Primitive primitive(description);
    std::vector<double> milliseconds;
    for (int call = -1; call < options.calls; call++) {  // the first one warms up
      const auto start = std::chrono::steady_clock::now();
      primitive.execute(stream, operands);
      stream.wait();
      const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - start;
      if (call >= 0) milliseconds.push_back(taken.count());
    }
    std::sort(milliseconds.begin(), milliseconds.end());
    const size_t count = milliseconds.size();
    return {(milliseconds[(count - 1) / 2] + milliseconds[count / 2]) / 2, description.impl_info_str()};
  }
};

static bool parse(int count, char **arguments, Options &options) {
  for (int index = 1; index < count; index += 2) {
    int *value = !strcmp(arguments[index], "--batch")     ? &options.batch
                 : !strcmp(arguments[index], "--size")    ? &options.size
                 : !strcmp(arguments[index], "--threads") ? &options.threads
                 : !strcmp(arguments[index], "--calls")   ? &options.calls
                                                          : nullptr;
    if (!value || index + 1 == count || (*value = atoi(arguments[index + 1])) < 1) return false;
  }
  return options.size % 4 == 0;
}

int main(int count, char **arguments) {
  Options options;
  if (!parse(count, arguments, options)) {
    fprintf(stderr, "onednn_convolutions [--batch N] [--size N, a multiple of 4] [--threads N] [--calls N]\n");
    return 2;
  }
  omp_set_num_threads(options.threads);
  const int size = options.size;
  const std::vector<Layer> layers = {{3, 16, size, 1, 1},      {16, 16, size, 1, 6},     {16, 32, size / 2, 2, 1},
                                     {32, 32, size / 2, 1, 5}, {32, 64, size / 4, 2, 1}, {64, 64, size / 4, 1, 5}};
  std::vector<double> totals(operations.size());
  const dnnl_version_t *version = dnnl_version();
  printf(
      "{\"onednnVersion\": \"%d.%d.%d\", \"batch\": %d, \"threads\": %d, \"layers\": [", version->major, version->minor,
      version->patch, options.batch, options.threads);
  try {
    Bench bench(options);
    for (const Layer &layer : layers) {
      const std::vector<Timing> timings = bench.time(layer);
      printf(
          "%s\n {\"inputs\": %d, \"outputs\": %d, \"side\": %d, \"stride\": %d, \"count\": %d",
          &layer == &layers[0] ? "" : ",", layer.inputs, layer.outputs, layer.side, layer.stride, layer.count);
      for (size_t index = 0; index < operations.size(); index++) {
        if (timings[index].milliseconds < 0) continue;
        totals[index] += timings[index].milliseconds * layer.count;
        printf(
            ",\n  \"%s\": {\"milliseconds\": %.3f, \"implementation\": \"%s\"}", operations[index],
            timings[index].milliseconds, timings[index].implementation.c_str());
      }
      printf("}");
    }
  } catch (const dnnl::error &problem) {
    fprintf(stderr, "onednn_convolutions: %s\n", problem.what());
    return 1;
  } catch (const std::string &problem) {
    fprintf(stderr, "onednn_convolutions: %s\n", problem.c_str());
    return 1;
  }
  printf("],\n \"total\": {");
  for (size_t index = 0; index < operations.size(); index++)
    printf("%s\"%s\": %.3f", index ? ", " : "", operations[index], totals[index]);
  printf("}}\n");
}
