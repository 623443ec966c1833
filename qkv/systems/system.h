// What all systems have in common: how they are loaded, what they say of themselves, where lines
// of text come from.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "qkv/base/options.h"
#include "qkv/base/progress.h"

namespace qkv {

/// What products are computed in. So far f32; bf16 and int8 are refused by name.
enum class Precision : std::uint8_t {
  automatic,  ///< what the directory says, f32 where it says nothing
  f32,
};
constexpr std::array<std::string_view, 2> spelling(Precision) { return {"automatic", "f32"}; }

struct LoadOptions {
  int threads = 0;  // that a call of the system computes with; 0: as many as the caller's
  Precision precision = Precision::automatic;

  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit({"threads", "Threads to compute with (0: all cores)", between(0, 4096)}, o.threads);
    visit({"precision", "What products are computed in"}, o.precision);
  }
};

/// How attention is looked at.
struct LookOptions {
  int layer = -1;       // the one to be shown first; negative: from the last
  int head = -1;        // likewise; -1: the mean of all
  bool tokens = false;  // sub-words instead of words

  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit({"layer", "From 0; negative: from the last", between(-1e6, 1e6)}, o.layer);
    visit({"head", "From 0; -1: the mean of all", between(-1, 1e6)}, o.head);
    visit({"tokens", "Sub-words instead of words"}, o.tokens);
  }
};

/// What `qkv info` says of a model.
struct Info {
  std::string task;     // "translate", as config.json has it
  std::string summary;  // "tiny Transformer, pre-norm"
  /// What people ask first ("vocabulary", "10,000 source (bpe) …"), in order.
  std::vector<std::pair<std::string, std::string>> facts = {};
  /// Every option of the network, from its list.
  std::vector<std::pair<std::string, std::string>> options = {};
  std::int64_t parameters = 0;
  struct TensorShape {
    std::string name;
    std::vector<std::int64_t> shape;
  };
  std::vector<TensorShape> tensors = {};
  std::vector<std::string> notes = {};  // what was passed over when it was loaded
};

/// Every field of some options as name and value.
template <class Options>
void tell_options(const Options& options, Info& info) {
  Options::each(options, [&](const About& about, const auto& field) {
    info.options.emplace_back(about.name, detail::text_of_field(field));
  });
}

/// Lines that come one after the other, from a file or a person at a terminal.
struct LineSource {
  /// The next line; nothing at the end.
  std::function<std::optional<std::string>()> next;
  /// Whether another line (or the end) can be had without waiting; empty: always. When it says no,
  /// what was read is answered first.
  std::function<bool()> ready = {};
};

/// Up to `most` lines, as many at once as can be had without waiting; none at the end.
std::vector<std::string> next_lines(const LineSource& source, std::int64_t most);

}  // namespace qkv
