#include "qkv/train/gan_task.h"

#include <cmath>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/base/random.h"
#include "qkv/nn/buffers.h"
#include "qkv/ops/pieces.h"
#include "qkv/tensor/numbers.h"

namespace qkv {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// Whether a player's parameters are constants to what is recorded and to backward. Other than
/// set_frozen() it leaves their gradients where the optimiser has put them.
template <class M>
void hold(const M& player, bool constant) {
  for_each_parameter(player, [&](std::string_view, const Tensor& p) {
    static_cast<Node*>(p.tape_node().get())->frozen = constant;
  });
}

Tensor above(const Tensor& a, const Tensor& b) { return stack_rows(std::vector<Tensor>{a, b}); }

OptimiserOptions discriminators(OptimiserOptions options) {
  options.ema = 0;  // the average is of the generator
  return options;
}

}  // namespace

Tensor picture_rows(const GanPictures& pictures, std::span<const std::int64_t> of) {
  const Picture& first = pictures.pictures.front();
  const std::size_t pixels = first.pixels(), channels = at(first.channels);
  Tensor rows = Tensor::empty({static_cast<std::int64_t>(pixels * of.size()), first.channels});
  const std::span<float> to = rows.values();
  for (std::size_t b = 0; b < of.size(); ++b) {
    const std::vector<std::uint8_t>& bytes = pictures.pictures[at(of[b])].bytes;
    for (std::size_t c = 0; c < channels; ++c) {
      for (std::size_t i = 0; i < pixels; ++i) {
        const float v = static_cast<float>(bytes[c * pixels + i]);
        to[(b * pixels + i) * channels + c] = v / 127.5f - 1.0f;
      }
    }
  }
  return rows;
}

GanGame::GanGame(GanPlayers& players, const GanRecipe& recipe, const GanPictures& pictures)
    : players_(players),
      recipe_(recipe),
      pictures_(pictures),
      optimiser_(players.discriminator, discriminators(recipe.train.optimiser)) {}

GanDraw GanGame::draw(std::int64_t step, std::string_view player) const {
  const std::uint64_t key = key_of(recipe_.train.seed, step, hash_name(player));
  GanDraw draw;
  Philox noise(key_of(key, hash_name("noise"))), classes(key_of(key, hash_name("class")));
  draw.noise =
      generated({recipe_.batch, recipe_.noise}, players_.model.network.start.module.weight.dtype(),
                [&](std::int64_t) { return noise.normal(); });
  for (std::int64_t b = 0; b < recipe_.batch; ++b) {
    draw.classes.push_back(pictures_.labels[classes.below(pictures_.labels.size())]);
  }
  return draw;
}

/// Pictures that are constants, made as in training: norms use the batch's statistics.
Tensor GanGame::made(const GanDraw& draw) const {
  hold(players_.model.network, true);
  Tape tape;
  Tensor pictures;
  {
    const Recording on(tape);
    pictures = players_.model.network(draw.noise, draw.classes);
  }
  hold(players_.model.network, false);
  return pictures;
}

double GanGame::discriminator_turn(std::span<const std::int64_t> examples, std::int64_t step,
                                   double rate) {
  step_ = step;
  const GanDraw drawn = draw(step, "discriminator");
  std::vector<std::int32_t> classes;
  for (const std::int64_t e : examples) classes.push_back(pictures_.labels[at(e)]);
  classes.insert(classes.end(), drawn.classes.begin(), drawn.classes.end());
  const Tensor both = above(picture_rows(pictures_, examples), made(drawn));
  hold(players_.discriminator, false);
  optimiser_.clear_gradients();
  Tape tape;
  Tensor loss;
  {
    const Recording on(tape);
    loss = discriminator_loss(recipe_.loss, players_.discriminator(both, classes));
  }
  const double value = loss.item();
  if (!std::isfinite(value)) fail<NumericError>("the discriminator's loss is {}", value);
  tape.backward(loss);
  optimiser_.step(rate * recipe_.discriminator_rate / recipe_.train.schedule.rate);
  hold(players_.discriminator, true);  // until its next turn, the generator's backward included
  return value;
}

Tensor GanGame::generator_loss(std::int64_t step) const {
  const GanDraw drawn = draw(step, "generator");
  const Tensor pictures = players_.model.network(drawn.noise, drawn.classes);
  const KeepBuffers keep;
  return hinge_generator(players_.discriminator(pictures, drawn.classes));
}

Validation GanGame::validate() const {
  const NoRecording quiet;
  std::vector<std::int64_t> first;
  for (std::int64_t b = 0; b < recipe_.batch; ++b) first.push_back(b);
  std::vector<std::int32_t> classes(pictures_.labels.begin(),
                                    pictures_.labels.begin() + recipe_.batch);
  const GanDraw drawn = draw(0, "validation");
  const Tensor fakes = players_.model.network(drawn.noise, drawn.classes);
  const double fake = hinge_generator(players_.discriminator(fakes, drawn.classes)).item();
  classes.insert(classes.end(), drawn.classes.begin(), drawn.classes.end());
  const Tensor scores =
      players_.discriminator(above(picture_rows(pictures_, first), fakes), classes);
  Validation v;
  v.loss = discriminator_loss(recipe_.loss, scores).item();
  v.score = static_cast<double>(step_);  // no number says which is better: the newest is kept
  v.text = fmt::format("discriminator {:.3f}  generator {:.3f}", v.loss, fake);
  v.metrics = nlohmann::json{{"valid_generator", fake}}.dump();
  return v;
}

std::vector<std::pair<std::string, Tensor>> GanGame::held() const {
  std::vector<std::pair<std::string, Tensor>> held;
  for_each_buffer(players_.discriminator, [&](std::string_view path, const Tensor& tensor) {
    held.emplace_back("discriminator." + std::string(path), tensor);
  });
  for (const auto& [name, tensor] : optimiser_.state()) {
    held.emplace_back("discriminator_optimiser." + name, tensor);
  }
  return held;
}

TrainTask GanGame::task() {
  TrainTask task;
  task.plan = [this](std::int64_t epoch) {
    std::vector<std::int64_t> order(pictures_.pictures.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int64_t>(i);
    Philox random(key_of(recipe_.train.seed, hash_name("order"), epoch));
    shuffle(std::span(order), random);
    std::vector<std::vector<std::int64_t>> plan;
    for (std::size_t i = 0; i + at(recipe_.batch) <= order.size(); i += at(recipe_.batch)) {
      const auto first = order.begin() + static_cast<std::ptrdiff_t>(i);
      plan.emplace_back(first, first + recipe_.batch);
    }
    return plan;
  };
  task.tokens = [](std::span<const std::int64_t> e) { return static_cast<std::int64_t>(e.size()); };
  task.opponent = [this](std::span<const std::int64_t> examples, std::int64_t step, double rate) {
    return discriminator_turn(examples, step, rate);
  };
  task.loss = [this](std::span<const std::int64_t> examples, double) {
    const auto batch = static_cast<std::int64_t>(examples.size());
    const Tensor loss = generator_loss(step_);
    return BatchLoss{.loss_sum = loss.item() * static_cast<double>(batch),
                     .nll_sum = 0,
                     .tokens = batch,
                     .correct = -1,
                     .loss = loss};
  };
  task.validate = [this] { return validate(); };
  task.held = held();
  task.restored = [this](std::int64_t step) {
    step_ = step;
    auto numbers = optimiser_.state();
    for (auto& [name, tensor] : numbers) tensor = tensor.clone();
    optimiser_.restore(step, numbers);  // which are there already, but not the step
  };
  task.words = {.loss = "generator", .second = "discriminator", .counted = "pictures"};
  return task;
}

}  // namespace qkv
