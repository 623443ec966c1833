#include "qkv/systems/picture_classifier.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "qkv/attention/observer.h"
#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/systems/describe.h"
#include "qkv/systems/picture_model.h"
#include "qkv/tensor/numbers.h"

namespace qkv {
namespace {

ClassifiedPicture answer_of(const std::vector<std::string>& labels, std::span<const float> logits) {
  ClassifiedPicture answer;
  const auto best = std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float x : logits) {
    answer.probabilities.push_back(std::exp(static_cast<double>(x) - static_cast<double>(*best)));
    sum += answer.probabilities.back();
  }
  for (double& p : answer.probabilities) p /= sum;
  const auto place = static_cast<std::size_t>(best - logits.begin());
  answer.label = labels[place];
  answer.probability = answer.probabilities[place];
  return answer;
}

std::string sizes_of(const PictureNetwork::Config& c) {
  if (c.kind == PictureKind::cnn) {
    return fmt::format("{} convolutions of 3 × 3, {} channels, strides {}", c.widths.size(),
                       fmt::join(c.widths, " "), fmt::join(c.strides, " "));
  }
  const Grid places = c.places();
  std::string text = fmt::format("{} layers, width {}, {} × {} patches of {} × {}", c.layers,
                                 c.width, places.rows, places.cols, c.patch, c.patch);
  if (c.attends()) text += fmt::format(", {} heads", c.heads);
  return text;
}

/// The weights [H S S] of the places themselves, where a ring of zeros around them is among the
/// keys.
Tensor without_ring(const Tensor& weights, const Grid& places, std::int64_t ring) {
  const Grid wide = places.wider(ring);
  Tensor inner = Tensor::empty({weights.dim(0), weights.dim(1), places.count()});
  auto to = inner.values().begin();
  for (std::int64_t row = 0; row < weights.dim(0) * weights.dim(1); ++row) {
    const auto from = weights.values().begin() + row * wide.count();
    for (std::int64_t r = 0; r < places.rows; ++r) {
      to = std::copy_n(from + (r + ring) * wide.cols + ring, places.cols, to);
    }
  }
  return inner;
}

/// Where the heads of quadratic attention look from a patch, in patches down and right, and how far
/// around: a line a layer.
void tell_heads(const QuadraticNetwork& network, Info& info) {
  for (std::size_t l = 0; l < network.blocks.size(); ++l) {
    const QuadraticAttention& a = network.blocks[l].attention;
    std::string heads;
    for (std::int64_t h = 0; h < a.config.heads; ++h) {
      heads +=
          fmt::format("{}({:+.1f} {:+.1f}) ±{:.1f}", h == 0 ? "" : ", ", number(a.centres, 2 * h),
                      number(a.centres, 2 * h + 1), 1 / std::abs(number(a.spread, h)));
    }
    info.facts.emplace_back(fmt::format("layer {} looks at", l), heads);
  }
}

}  // namespace

std::vector<std::size_t> ClassifiedPicture::likeliest(std::size_t most) const {
  std::vector<std::size_t> order(probabilities.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(
      order, [&](std::size_t a, std::size_t b) { return probabilities[a] > probabilities[b]; });
  order.resize(std::min(most, order.size()));
  return order;
}

PictureClassifier::PictureClassifier(PictureModel model, const LoadOptions& options)
    : model_(std::make_shared<const PictureModel>(std::move(model))), options_(options) {}

PictureClassifier PictureClassifier::load(const std::filesystem::path& directory,
                                          const LoadOptions& options) {
  return PictureClassifier(load_picture_model(directory), options);
}

void PictureClassifier::save(const std::filesystem::path& directory) const {
  save_picture_model(*model_, directory);
}

const std::vector<std::string>& PictureClassifier::labels() const { return model_->labels; }

ClassifiedPicture PictureClassifier::classify(const Picture& picture) const {
  return classify(std::span(&picture, 1)).front();
}

std::vector<ClassifiedPicture> PictureClassifier::classify(
    std::span<const Picture> pictures) const {
  const ThreadScope threads(options_.threads);
  std::vector<Picture> small;
  for (const Picture& p : pictures) small.push_back(fitted(model_->network.config, p));
  const Tensor logits = picture_logits(*model_, small);
  const std::size_t classes = labels().size();
  std::vector<ClassifiedPicture> answers;
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    answers.push_back(answer_of(labels(), logits.values().subspan(i * classes, classes)));
  }
  return answers;
}

ClassReport PictureClassifier::score(const PictureSet& set) const {
  if (set.pictures.empty()) fail("there is no picture to be scored against");
  for (const std::string& name : set.classes) (void)class_of(*model_, name);
  std::vector<std::string> gold, found;
  for (const int label : set.labels) gold.push_back(set.classes[static_cast<std::size_t>(label)]);
  for (const ClassifiedPicture& p : classify(set.pictures)) found.push_back(p.label);
  return score_classes(gold, found);
}

PictureAttention PictureClassifier::attention(const Picture& picture) const {
  const ThreadScope threads(options_.threads);
  const PictureNetwork::Config& c = model_->network.config;
  if (!c.attends()) {
    fail("look: a {} attends to nothing; train with --kind vit or quadratic", name_of(c.kind));
  }
  PictureAttention seen;
  seen.picture = picture;
  seen.patches = c.places();
  seen.tokens = c.kind == PictureKind::vit ? 1 : 0;
  if (seen.tokens > 0) seen.maps.source.emplace_back("<class>");
  for (std::int64_t r = 0; r < seen.patches.rows; ++r) {
    for (std::int64_t col = 0; col < seen.patches.cols; ++col) {
      seen.maps.source.push_back(fmt::format("{},{}", r, col));
    }
  }
  const std::vector<Picture> one = {fitted(c, picture)};
  Tensor logits;
  std::vector<SeenAttention> all = attention_seen([&] { logits = picture_logits(*model_, one); });
  const ClassifiedPicture answer = answer_of(labels(), logits.values());
  seen.maps.title = fmt::format("{} ({:.1f} %)", answer.label, 100 * answer.probability);
  seen.maps.target = seen.maps.target_in = {answer.label};
  if (c.kind == PictureKind::quadratic) {
    for (SeenAttention& a : all) a.weights = without_ring(a.weights, seen.patches, c.ring);
  }
  add_maps(seen.maps, all);
  return seen;
}

Info PictureClassifier::info() const {
  const PictureModel& m = *model_;
  const PictureNetwork::Config& c = m.network.config;
  Info info = describe("picture", "", std::string(name_of(c.kind)), m);
  info.summary = std::string(name_of(c.kind)) + " over pictures";
  info.facts.emplace_back("sizes", sizes_of(c));
  info.facts.emplace_back("pictures",
                          fmt::format("{} × {}, {}; others are resized (bicubic)", c.side, c.side,
                                      c.channels == 1 ? "grey" : "red, green and blue"));
  info.facts.emplace_back("mean", fmt::format("{:.4f}", fmt::join(m.mean, " ")));
  info.facts.emplace_back("deviation", fmt::format("{:.4f}", fmt::join(m.deviation, " ")));
  constexpr std::size_t kMostTold = 20;
  info.facts.emplace_back("labels",
                          m.labels.size() <= kMostTold
                              ? fmt::format("{}: {}", m.labels.size(), fmt::join(m.labels, ", "))
                              : std::to_string(m.labels.size()));
  if (const auto* network = std::get_if<QuadraticNetwork>(&m.network.network)) {
    tell_heads(*network, info);
  }
  tell_options(c, info);
  return info;
}

}  // namespace qkv
