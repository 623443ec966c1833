#include "qkv/train/pictures.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/base/random.h"
#include "qkv/io/directory.h"
#include "qkv/ops/softmax.h"

namespace qkv {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

std::string fingerprint_of(const PictureSet& set) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < set.pictures.size(); ++i) {
    const Picture& p = set.pictures[i];
    sum = key_of(sum, checksum(std::as_bytes(std::span(p.bytes))), p.height,
                 hash_name(set.classes[static_cast<std::size_t>(set.labels[i])]));
  }
  return fmt::format("{} pictures, {:016x}", set.pictures.size(), sum);
}

PictureSet read(const std::vector<std::string>& sources, const PictureFiles& files) {
  return read_pictures(std::vector<std::filesystem::path>(sources.begin(), sources.end()),
                       {.picture = {}, .skip_broken = files.skip_broken});
}

/// Batches of an epoch in an order of its own.
std::vector<std::vector<std::int64_t>> plan_of(std::size_t pictures, std::int64_t batch,
                                               std::uint64_t key) {
  std::vector<std::int64_t> order(pictures);
  std::iota(order.begin(), order.end(), std::int64_t{0});
  Philox random(key);
  shuffle(std::span<std::int64_t>(order), random);
  std::vector<std::vector<std::int64_t>> batches;
  for (std::size_t begin = 0; begin < order.size(); begin += at(batch)) {
    const auto first = order.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto size = std::min(order.size() - begin, at(batch));
    batches.emplace_back(first, first + static_cast<std::ptrdiff_t>(size));
  }
  return batches;
}

Validation judge(const PictureModel& model, const PictureTraining& training) {
  const NoRecording quiet;
  const Tensor logits = picture_logits(model, training.valid);
  const CrossEntropyResult r = cross_entropy(logits, training.valid_classes, {});
  const auto count = static_cast<double>(r.tokens);
  const double accuracy = 100 * static_cast<double>(r.correct) / count;
  Validation v;
  v.loss = r.nll_sum / count;
  // Few pictures are held out, so many models are right on as many: the loss decides among them.
  v.score = accuracy - 0.01 * v.loss;
  v.text = fmt::format("loss {:.4f}  accuracy {:.2f}", v.loss, accuracy);
  v.metrics = nlohmann::json{{"accuracy", accuracy}}.dump();
  return v;
}

}  // namespace

PictureSets read_picture_sets(const PictureFiles& files) {
  PictureSets sets;
  sets.train = read(files.train, files);
  if (!files.test.empty()) sets.test = read(files.test, files);
  sets.valid = files.valid.empty() ? hold_out(sets.train, files.hold_out, files.split_seed)
                                   : read(files.valid, files);
  return sets;
}

PictureSet hold_out(PictureSet& set, double share, std::uint64_t seed) {
  std::vector<std::vector<std::size_t>> by_class(set.classes.size());
  for (std::size_t i = 0; i < set.labels.size(); ++i) {
    by_class[static_cast<std::size_t>(set.labels[i])].push_back(i);
  }
  std::vector<char> out(set.labels.size(), 0);
  for (std::size_t c = 0; c < by_class.size(); ++c) {
    std::vector<std::size_t>& members = by_class[c];
    if (members.size() < 2) continue;
    Philox random(key_of(seed, hash_name(set.classes[c])));
    shuffle(std::span<std::size_t>(members), random);
    const auto size = static_cast<double>(members.size());
    const auto count = std::max(1.0, std::min(size - 1, std::round(share * size)));
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) out[members[i]] = 1;
  }
  PictureSet held, rest;
  held.classes = rest.classes = set.classes;
  rest.skipped = set.skipped;
  for (std::size_t i = 0; i < set.labels.size(); ++i) {
    PictureSet& to = out[i] ? held : rest;
    to.pictures.push_back(std::move(set.pictures[i]));
    to.labels.push_back(set.labels[i]);
  }
  set = std::move(rest);
  if (held.pictures.empty()) fail("too few pictures to hold some out; give --valid");
  return held;
}

void PictureRecipe::check() const {
  check_ranges(*this);
  train.check();
  PictureNetwork::Config c = network;
  if (c.side > 0) c.check();
}

PictureRecipe picture_recipe(PictureKind kind) {
  PictureRecipe r;
  r.network.kind = kind;
  r.train.optimiser.beta2 = 0.999;
  r.train.optimiser.decay = 0.05;
  r.train.schedule = {.kind = Schedule::Kind::cosine, .rate = 1e-3, .warm_up = 100, .initial = 0};
  r.train.epochs = 20;
  if (kind == PictureKind::mixer) {
    r.network.layers = 6;
    r.network.feed_forward = 160;
  } else if (kind == PictureKind::quadratic) {
    r.network.width = 48;
    r.network.layers = 5;
    r.network.heads = 9;
    r.network.feed_forward = 96;
  }
  return r;
}

TrainTask picture_task(PictureModel& model, const PictureTraining& training) {
  TrainTask task;
  task.plan = [&training](std::int64_t epoch) {
    return plan_of(training.train.size(), training.batch,
                   key_of(training.seed, hash_name("pictures"), epoch));
  };
  task.words.counted = "pictures";
  task.tokens = [](std::span<const std::int64_t> chosen) {
    return static_cast<std::int64_t>(chosen.size());
  };
  task.loss = [&model, &training](std::span<const std::int64_t> chosen, double scale) {
    std::vector<std::int32_t> classes;
    for (const std::int64_t i : chosen) classes.push_back(training.train_classes[at(i)]);
    const Tensor x = pack(model, training.train, chosen, &training.noise);
    return batch_loss(cross_entropy(model.network(x), classes,
                                    {.smoothing = training.smoothing, .scale = scale}));
  };
  task.validate = [&model, &training] { return judge(model, training); };
  task.save = task.keep = [&model](const std::filesystem::path& folder) {
    save_picture_model(model, folder);
  };
  return task;
}

TrainReport train_pictures(const PictureRecipe& r, const PictureSets& sets, TrainingRun& run,
                           const TrainWatch& watch) {
  run.record.data = {{"train", fingerprint_of(sets.train)}, {"valid", fingerprint_of(sets.valid)}};
  PictureModel model = run.resumes() ? load_picture_model(run.state())
                                     : make_picture_model(r, sets.train, r.train.seed);
  const PictureNetwork::Config& c = model.network.config;
  std::vector<Picture> train = sets.train.pictures, valid = sets.valid.pictures;
  fit(c, train);
  fit(c, valid);
  const PictureTraining training{.train = train,
                                 .train_classes = classes_of(model, sets.train),
                                 .valid = valid,
                                 .valid_classes = classes_of(model, sets.valid),
                                 .batch = r.batch,
                                 .smoothing = r.smoothing,
                                 .noise = r.noise,
                                 .seed = r.train.seed};
  if (valid.empty()) fail("training needs pictures to validate on");
  std::int64_t buffers = 0;
  for_each_buffer(model, [&](std::string_view, const Tensor&) { ++buffers; });
  if (buffers > 0 && r.train.average_last > 0) {
    fail("--average: batch norm's statistics belong to one set of weights, not to a mean of them");
  }
  const std::int64_t broken = sets.train.skipped + sets.valid.skipped;
  watch.say(fmt::format("pictures: {} to train on, {} to validate on{}; {} × {}, {}",
                        grouped(static_cast<std::int64_t>(train.size())),
                        grouped(static_cast<std::int64_t>(valid.size())),
                        broken > 0 ? fmt::format(", {} broken left out", broken) : "", c.side,
                        c.side, c.channels == 1 ? "grey" : "in colour"));
  watch.say(fmt::format("model: {} parameters ({}), {} classes", grouped(parameter_count(model)),
                        name_of(c.kind), model.labels.size()));
  run.curve_score = {"accuracy", "accuracy"};
  return run.train(model, picture_task(model, training), r.train, watch);
}

}  // namespace qkv
