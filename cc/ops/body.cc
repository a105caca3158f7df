#include "ops/body.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <unordered_map>

#include "tensorflow/core/framework/attr_value.pb.h"
#include "tensorflow/core/framework/node_def.pb.h"
#include "tensorflow/core/framework/op_def.pb.h"
#include "tensorflow/core/platform/tstring.h"
#include "xla/tsl/lib/io/inputstream_interface.h"
#include "xla/tsl/lib/io/zlib_compression_options.h"
#include "xla/tsl/lib/io/zlib_inputstream.h"

namespace tfqz {
namespace {

using tensorflow::AttrValue;
using tensorflow::FunctionDef;
using tensorflow::FunctionDefLibrary;

// The largest body that this library makes has 0.5 MB, 5000 nodes, and calls 6 deep. Messages are up to 150 times as large in memory.
constexpr int64_t kLargest = 4 << 20;
constexpr int64_t kMostNodes = 100000;
constexpr int kDeepest = 32;

class StringStream : public tsl::io::InputStreamInterface {
 public:
  explicit StringStream(const std::string& text) : text_(text) {}

  absl::Status ReadNBytes(int64_t count, tsl::tstring* result) override {
    const int64_t left = static_cast<int64_t>(text_.size()) - position_;
    result->assign(text_.data() + position_, std::min(count, left));
    position_ += std::min(count, left);
    return count > left ? absl::OutOfRangeError("the end of the string") : absl::OkStatus();
  }
  int64_t Tell() const override { return position_; }
  absl::Status Reset() override {
    position_ = 0;
    return absl::OkStatus();
  }

 private:
  const std::string& text_;
  int64_t position_ = 0;
};

absl::Status Wrong(const std::string& got) {
  return absl::InvalidArgumentError("the attribute `body` must hold compressed TensorFlow functions; got " + got);
}

// Of a function: how many nodes it has, with those of the functions that it calls in their places, and how deep calls go.
struct Extent {
  int64_t nodes = 0;
  int depth = 0;
};

class Calls {
 public:
  explicit Calls(const FunctionDefLibrary& functions) {
    for (const FunctionDef& function : functions.function()) functions_[function.signature().name()] = &function;
  }

  // Beyond the bounds where that is so; `depth`: of this call. Each function is looked into once.
  Extent Of(const std::string& name, int depth = 0) {
    const auto found = functions_.find(name);
    if (found == functions_.end()) return {};
    // What is being looked into, higher up, has no end.
    const auto [known, is_new] = extents_.try_emplace(name, Extent{kMostNodes + 1, kDeepest + 1});
    if (!is_new || depth > kDeepest) return known->second;
    Extent extent{0, 1};
    for (const auto& node : found->second->node_def()) {
      ++extent.nodes;
      Add(Of(node.op(), depth + 1), &extent);
      AddAll(node.attr(), depth, &extent);
    }
    return extents_[name] = extent;
  }

 private:
  using Attributes = google::protobuf::Map<std::string, AttrValue>;

  static void Add(const Extent& of_call, Extent* extent) {
    extent->nodes = std::min(extent->nodes + of_call.nodes, 2 * kMostNodes);
    extent->depth = std::max(extent->depth, 1 + of_call.depth);
  }

  // The functions that attributes name, and the attributes of these names. Messages are nested less deep than the parser allows.
  void AddAll(const Attributes& attributes, int depth, Extent* extent) {
    const auto add = [&](const tensorflow::NameAttrList& function) {
      Add(Of(function.name(), depth + 1), extent);
      AddAll(function.attr(), depth, extent);
    };
    for (const auto& [_, attribute] : attributes) {
      if (attribute.has_func()) add(attribute.func());
      for (const auto& function : attribute.list().func()) add(function);
    }
  }

  std::unordered_map<std::string, const FunctionDef*> functions_;
  std::unordered_map<std::string, Extent> extents_;
};

absl::Status CheckCalls(const FunctionDefLibrary& functions) {
  const Extent extent = Calls(functions).Of(functions.function().rbegin()->signature().name());
  if (extent.nodes <= kMostNodes && extent.depth <= kDeepest) return absl::OkStatus();
  return Wrong("some that call themselves, or one another more than " + std::to_string(kDeepest) + " deep, or have more than " +
               std::to_string(kMostNodes) + " nodes");
}

using Arguments = google::protobuf::RepeatedPtrField<tensorflow::OpDef::ArgDef>;

bool BeginWith(const Arguments& arguments, const tensorflow::DataTypeVector& types) {
  if (static_cast<std::size_t>(arguments.size()) < types.size()) return false;
  return std::equal(types.begin(), types.end(), arguments.begin(), [](tensorflow::DataType type, const auto& argument) {
    return argument.type() == type && argument.type_attr().empty() && argument.number_attr().empty() && argument.type_list_attr().empty();
  });
}

}  // namespace

absl::Status ReadBody(const std::string& body, const tensorflow::DataTypeVector& inputs, const tensorflow::DataTypeVector& outputs,
                      FunctionDefLibrary* functions) {
  constexpr std::size_t kBuffer = 1 << 18;
  StringStream compressed(body);
  tsl::io::ZlibInputStream stream(&compressed, kBuffer, kBuffer, tsl::io::ZlibCompressionOptions::DEFAULT());
  tsl::tstring text;
  // That there is no more is how reading all of it ends well.
  const absl::Status status = stream.ReadNBytes(kLargest, &text);
  if (status.ok()) return Wrong("more than " + std::to_string(kLargest) + " bytes of them");
  if (!absl::IsOutOfRange(status) || !functions->ParseFromArray(text.data(), static_cast<int>(text.size())) ||
      functions->function().empty()) {
    return Wrong(std::to_string(body.size()) + " bytes of something else");
  }
  const tensorflow::OpDef& signature = functions->function().rbegin()->signature();
  // Bodies also return what would be an error elsewhere.
  if (static_cast<std::size_t>(signature.input_arg_size()) != inputs.size() || !BeginWith(signature.input_arg(), inputs) ||
      !BeginWith(signature.output_arg(), outputs)) {
    return Wrong("a last one that isn't from (" + tensorflow::DataTypeSliceString(inputs) + ") to (" +
                 tensorflow::DataTypeSliceString(outputs) + ")");
  }
  return CheckCalls(*functions);
}

}  // namespace tfqz
