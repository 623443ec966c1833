#include "qkv/systems/import/bert_names.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <span>

namespace qkv {
namespace {

/// The beginning of a name here and there.
struct Rename {
  std::string_view own, foreign;
};
using Renames = std::span<const Rename>;

// Heads for hidden words; the longer beginnings come first.
constexpr Rename kRobertaWords[] = {{"cls.predictions.transform.dense.", "lm_head.dense."},
                                    {"cls.predictions.transform.LayerNorm.", "lm_head.layer_norm."},
                                    {"cls.predictions.decoder.", "lm_head.decoder."},
                                    {"cls.predictions.bias", "lm_head.bias"}};
constexpr Rename kDistilWords[] = {{"cls.predictions.transform.dense.", "vocab_transform."},
                                   {"cls.predictions.transform.LayerNorm.", "vocab_layer_norm."},
                                   {"cls.predictions.decoder.weight", "vocab_projector.weight"},
                                   {"cls.predictions.bias", "vocab_projector.bias"}};
constexpr Rename kAlbertWords[] = {
    {"cls.predictions.transform.dense.", "predictions.dense."},
    {"cls.predictions.transform.LayerNorm.", "predictions.LayerNorm."},
    {"cls.predictions.decoder.", "predictions.decoder."},
    {"cls.predictions.bias", "predictions.bias"}};
// Heads with labels.
constexpr Rename kTags[] = {{"tag_output.", "classifier."}};
constexpr Rename kClasses[] = {{"class_output.", "classifier."}};
constexpr Rename kRobertaClasses[] = {{"bert.pooler.dense.", "classifier.dense."},
                                      {"class_output.", "classifier.out_proj."}};
constexpr Rename kDistilClasses[] = {{"bert.pooler.dense.", "pre_classifier."},
                                     {"class_output.", "classifier."}};
// Bodies, behind the prefix.
constexpr Rename kDistilBody[] = {{"encoder.layer.", "transformer.layer."}};
constexpr Rename kAlbertBody[] = {{"encoder.layer.", "encoder.albert_layer_groups."},
                                  {"pooler.dense.", "pooler."}};
// Layers, behind their number.
constexpr Rename kDistilLayer[] = {{"attention.self.query.", "attention.q_lin."},
                                   {"attention.self.key.", "attention.k_lin."},
                                   {"attention.self.value.", "attention.v_lin."},
                                   {"attention.output.dense.", "attention.out_lin."},
                                   {"attention.output.LayerNorm.", "sa_layer_norm."},
                                   {"intermediate.dense.", "ffn.lin1."},
                                   {"output.dense.", "ffn.lin2."},
                                   {"output.LayerNorm.", "output_layer_norm."}};
constexpr Rename kAlbertLayer[] = {{"attention.self.query.", "attention.query."},
                                   {"attention.self.key.", "attention.key."},
                                   {"attention.self.value.", "attention.value."},
                                   {"attention.output.", "attention."},
                                   {"intermediate.dense.", "ffn."},
                                   {"output.dense.", "ffn_output."},
                                   {"output.LayerNorm.", "full_layer_layer_norm."}};

struct Family {
  std::string_view prefix;
  Renames words, classes, body, layer;
};

Family family_of(BertFamily family) {
  switch (family) {
    case BertFamily::distilbert:
      return {"distilbert.", kDistilWords, kDistilClasses, kDistilBody, kDistilLayer};
    case BertFamily::roberta:
    case BertFamily::xlm_roberta:
      return {"roberta.", kRobertaWords, kRobertaClasses, {}, {}};
    case BertFamily::albert:
      return {"albert.", kAlbertWords, kClasses, kAlbertBody, kAlbertLayer};
    case BertFamily::bert:
      break;
  }
  return {"bert.", {}, kClasses, {}, {}};
}

/// Whether a beginning was replaced.
bool rename(std::string& name, Renames table, bool to_own) {
  for (const Rename& r : table) {
    const std::string_view from = to_own ? r.foreign : r.own;
    if (!name.starts_with(from)) continue;
    name.replace(0, from.size(), to_own ? r.own : r.foreign);
    return true;
  }
  return false;
}

bool rename_head(std::string& name, const Family& family, BertHead head, bool to_own) {
  return (head == BertHead::tags && rename(name, kTags, to_own)) ||
         (head == BertHead::classes && rename(name, family.classes, to_own)) ||
         rename(name, family.words, to_own);
}

/// The digits at `at`, as a number, and `at` behind them and a point; −1 where there are none.
std::int64_t number_at(const std::string& name, std::size_t& at) {
  std::int64_t number = -1;
  const char* end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + at, end, number);
  if (error != std::errc() || stop == end || *stop != '.' || number > (1 << 20)) return -1;
  at = static_cast<std::size_t>(stop - name.data()) + 1;
  return number;
}

constexpr std::string_view kLayers = "encoder.layer.", kInner = "albert_layers.";

/// The number and the rest of a layer's name, which begins with kLayers.
void rename_layer(std::string& name, const Family& family, const BertConfig& config, bool to_own) {
  std::size_t at = kLayers.size();
  std::int64_t number = number_at(name, at);
  if (number < 0) return;
  std::string middle;
  if (config.family == BertFamily::albert) {
    const std::int64_t inner = std::max<std::int64_t>(1, config.inner_group_num);
    if (to_own) {
      if (name.compare(at, kInner.size(), kInner) != 0) return;
      at += kInner.size();
      const std::int64_t i = number_at(name, at);
      if (i < 0) return;
      if (i >= inner) return;  // stays unknown
      number = number * inner + i;
    } else {
      middle = std::string(kInner) + std::to_string(number % inner) + ".";
      number /= inner;
    }
  }
  std::string rest = name.substr(at);
  rename(rest, family.layer, to_own);
  name = std::string(kLayers) + std::to_string(number) + "." + middle + rest;
}

constexpr std::string_view kRoots[] = {"embeddings.", "encoder.", "pooler.", "transformer."};

}  // namespace

std::string own_bert_name(std::string name, const BertConfig& config, BertHead head) {
  const Family family = family_of(config.family);
  if (name.starts_with(family.prefix)) {
    name.erase(0, family.prefix.size());
  } else if (std::ranges::none_of(kRoots,
                                  [&](std::string_view root) { return name.starts_with(root); })) {
    rename_head(name, family, head, true);
    return modern_bert_name(std::move(name));
  }
  rename(name, family.body, true);
  if (name.starts_with(kLayers)) rename_layer(name, family, config, true);
  return modern_bert_name("bert." + name);
}

std::string foreign_bert_name(std::string name, const BertConfig& config, BertHead head) {
  constexpr std::string_view own = "bert.";
  const Family family = family_of(config.family);
  if (rename_head(name, family, head, false) || !name.starts_with(own)) return name;
  name.erase(0, own.size());
  if (name.starts_with(kLayers)) rename_layer(name, family, config, false);
  rename(name, family.body, false);
  return std::string(family.prefix) + name;
}

}  // namespace qkv
