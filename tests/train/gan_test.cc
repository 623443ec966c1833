// Two players: each turn against its definition, who moves what, bits, resuming, wrong input.
#include "qkv/train/gan.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "golden/fill.h"
#include "text/temporary.h"
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/base/parallel.h"
#include "qkv/base/random.h"
#include "qkv/io/safetensors.h"
#include "qkv/nn/buffers.h"
#include "qkv/ops/pieces.h"
#include "qkv/systems/picture_generator.h"
#include "qkv/train/gan_task.h"

namespace qkv {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

/// Two classes: bright at the left, bright at the right, with noise.
PictureSet sides(int count, int side = 16) {
  PictureSet set;
  set.classes = {"left", "right"};
  Philox random(3);
  for (int n = 0; n < count; ++n) {
    Picture p(1, side, side);
    for (int y = 0; y < side; ++y) {
      for (int x = 0; x < side; ++x) {
        const bool lit = (x < side / 2) == (n % 2 == 0);
        p.at(0, y, x) = static_cast<std::uint8_t>((lit ? 200 : 20) + random.below(30));
      }
    }
    set.pictures.push_back(p);
    set.labels.push_back(n % 2);
  }
  return set;
}

GanRecipe toy() {
  GanRecipe r = gan_recipe();
  r.size = 16;
  r.width = 8;
  r.noise = 6;
  r.batch = 6;
  r.sheet = 4;
  r.train.steps = 8;
  r.train.validate_every = 4;
  r.train.report_every = 1;
  return r;
}

/// All that a module holds, in a row.
template <class M>
std::vector<float> numbers_of(const M& module, bool parameters = true, bool buffers = true) {
  std::vector<float> all;
  const auto add = [&](std::string_view, const Tensor& t) {
    all.insert(all.end(), t.values().begin(), t.values().end());
  };
  if (parameters) for_each_parameter(module, add);
  if (buffers) for_each_buffer(module, add);
  return all;
}

struct Game {
  explicit Game(const GanRecipe& recipe = toy())
      : r(recipe),
        pictures(gan_pictures(sides(12), r)),
        players(make_gan(r, pictures)),
        game(players, r, pictures) {}
  GanRecipe r;
  GanPictures pictures;
  GanPlayers players;
  GanGame game;
};

TEST(Gan, TheDiscriminatorsTurnIsItsDefinition) {
  for (const GanLoss loss : {GanLoss::hinge, GanLoss::softplus}) {
    GanRecipe r = toy();
    r.loss = loss;
    Game fast(r), plain(r);
    const std::vector<std::int64_t> examples = {3, 1, 4, 0, 5, 9};
    const double value = fast.game.discriminator_turn(examples, 1, 2e-3);

    const GanDraw draw = plain.game.draw(1, "discriminator");
    Tensor fakes;
    {
      Tape scratch;
      const Recording on(scratch);
      fakes = plain.players.model.network(draw.noise, draw.classes).clone();
    }
    const std::vector<std::int32_t> classes = {1, 1, 0, 0, 1, 1};  // of the examples
    const Tensor real = picture_rows(plain.pictures, examples);
    const auto fresh = [&] {
      return SaganDiscriminator::make(Initialiser(r.train.seed).branch(2),
                                      plain.players.discriminator.config);
    };
    // Passes apart, each from the same vectors u.
    if (loss == GanLoss::hinge) {
      EXPECT_NEAR(value,
                  hinge_real(fresh()(real, classes)).item() +
                      hinge_fake(fresh()(fakes, draw.classes)).item(),
                  1e-5);
    }
    const SaganDiscriminator d = fresh();
    std::vector<std::int32_t> both = classes;
    both.insert(both.end(), draw.classes.begin(), draw.classes.end());
    Tape tape;
    Tensor expected;
    {
      const Recording on(tape);
      expected = discriminator_loss(loss, d(stack_rows(std::vector<Tensor>{real, fakes}), both));
    }
    EXPECT_NEAR(value, expected.item(), 1e-5);
    tape.backward(expected);
    // Adam's first step with β₁ 0.
    const double rate = 2e-3 * r.discriminator_rate / r.train.schedule.rate;
    std::vector<float> stepped;
    for_each_parameter(d, [&](std::string_view, const Tensor& p) {
      const Tensor g = gradient_of(p);
      for (std::int64_t i = 0; i < p.count(); ++i) {
        const double gi = g.defined() ? static_cast<double>(g.data()[i]) : 0;
        stepped.push_back(static_cast<float>(static_cast<double>(p.data()[i]) -
                                             rate * gi / (std::abs(gi) + 1e-8)));
      }
    });
    const std::vector<float> got = numbers_of(fast.players.discriminator, true, false);
    ASSERT_EQ(got.size(), stepped.size());
    // A gradient that is all but 0 may differ in sign between the two.
    std::size_t far = 0;
    for (std::size_t i = 0; i < got.size(); ++i) far += std::abs(got[i] - stepped[i]) > 1e-4f;
    EXPECT_LE(far, got.size() / 100);
    EXPECT_EQ(numbers_of(fast.players.discriminator, false), numbers_of(d, false));
  }
}

TEST(Gan, TheGeneratorsTurnIsItsDefinition) {
  Game fast, plain;
  const auto gradients = [](const Game& g, auto&& loss_of) {
    Tape tape;
    Tensor loss;
    {
      const Recording on(tape);
      loss = loss_of();
    }
    tape.backward(loss);
    std::vector<float> all = {static_cast<float>(loss.item())};
    for_each_parameter(g.players.model.network, [&](std::string_view, const Tensor& p) {
      const Tensor gradient = gradient_of(p);
      if (gradient.defined()) {
        all.insert(all.end(), gradient.values().begin(), gradient.values().end());
      }
    });
    return all;
  };
  (void)fast.game.discriminator_turn(std::vector<std::int64_t>{0, 1, 2, 3, 4, 5}, 1, 0);
  const GanDraw unused = plain.game.draw(1, "discriminator");
  {
    Tape scratch;
    const Recording on(scratch);  // the pass of the discriminator's turn, which moves u
    (void)plain.players.model.network(unused.noise, unused.classes);
    const auto pictures = picture_rows(plain.pictures, std::vector<std::int64_t>{0});
    (void)plain.players.discriminator(pictures, std::vector<std::int32_t>{0});
  }
  const GanDraw draw = plain.game.draw(1, "generator");
  const auto expected = gradients(plain, [&] {
    const KeepBuffers keep;  // with nothing held constant
    return hinge_generator(plain.players.discriminator(
        plain.players.model.network(draw.noise, draw.classes), draw.classes));
  });
  const auto got = gradients(fast, [&] { return fast.game.generator_loss(1); });
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], expected[i], 1e-4) << i;
}

TEST(Gan, EachTurnMovesItsOwn) {
  Game g;
  const auto of_generator = [&] { return numbers_of(g.players.model, true, false); };
  const auto buffers = [&] { return numbers_of(g.players.model.network, false); };
  const auto of_discriminator = [&] { return numbers_of(g.players.discriminator); };
  auto weights = of_generator(), moved = buffers(), other = of_discriminator();
  (void)g.game.discriminator_turn(std::vector<std::int64_t>{0, 1, 2, 3, 4, 5}, 1, 1e-3);
  EXPECT_EQ(of_generator(), weights);
  EXPECT_NE(buffers(), moved) << "every pass of the generator moves its statistics";
  EXPECT_NE(of_discriminator(), other);
  other = of_discriminator();
  (void)g.game.generator_loss(1);
  (void)g.game.discriminator_turn(std::vector<std::int64_t>{6, 7, 8, 9, 10, 11}, 2, 1e-3);
  EXPECT_NE(numbers_of(g.players.discriminator, true, false), other)
      << "after the generator's turn too";
  moved = buffers();
  other = of_discriminator();
  for_each_parameter(g.players.model.network,
                     [](std::string_view, const Tensor& p) { EXPECT_FALSE(is_frozen(p)); });
  Tape tape;
  Tensor loss;
  {
    const Recording on(tape);
    loss = g.game.generator_loss(1);
  }
  tape.backward(loss);
  EXPECT_NE(buffers(), moved);
  EXPECT_EQ(of_discriminator(), other) << "its weights and its vectors u stay";
  bool reached = false;
  for_each_parameter(g.players.model.network, [&](std::string_view, const Tensor& p) {
    reached = reached || gradient_of(p).defined();
  });
  EXPECT_TRUE(reached);
  moved = buffers();
  (void)g.game.task().validate();
  EXPECT_EQ(buffers(), moved);
  EXPECT_EQ(of_discriminator(), other);
}

/// Checksums of a directory's model and all that its state holds; the time that stands in the state
/// left out.
std::vector<std::string> bytes_of(const fs::path& directory) {
  std::vector<std::string> all = {
      fmt::format("model {:016x}", hash_name(read_file(directory / "model.safetensors")))};
  const SafetensorsFile state(directory / "state" / "state.safetensors");
  for (const std::string& name : state.names()) {
    const Tensor t = state.tensor_copy(name);
    const std::string_view bytes(reinterpret_cast<const char*>(t.data()),
                                 4 * static_cast<std::size_t>(t.count()));
    all.push_back(fmt::format("{} {:016x}", name, hash_name(bytes)));
  }
  return all;
}

std::vector<std::string> train_to(const fs::path& directory, const GanRecipe& r,
                                  bool resume = false, const TrainWatch& watch = {}) {
  TrainingRun run({.model = directory.string(), .resume = resume});
  (void)train_gan(r, gan_pictures(sides(20), r), run, watch);
  return bytes_of(directory);
}

TEST(Gan, AResumedRunEndsInTheSameBits) {
  GanRecipe r = toy();
  r.train.optimiser.ema = 0.9;
  const Temporary whole, parts, copied;
  r.train.save_minutes = 1e-9;  // a state within each step
  const fs::path seen = copied.path() / "run";
  TrainWatch watch;
  watch.progress = [&](const Progress& p) {
    if (p.done == 6) fs::copy(whole.path() / "run", seen, fs::copy_options::recursive);
  };
  const auto expected = train_to(whole.path() / "run", r, false, watch);
  EXPECT_EQ(train_to(seen, r, true), expected) << "from a state within a step";
  r.train.steps = 3;
  (void)train_to(parts.path() / "run", r);
  r.train.steps = 8;
  // The model that is kept is judged at steps 4 and 8 in both.
  EXPECT_EQ(train_to(parts.path() / "run", r, true), expected);
  EXPECT_TRUE(fs::exists(parts.path() / "run" / "samples" / "0000008.png"));
}

TEST(Gan, ThreadsDoNotMatter) {
  const Temporary folder;
  const int before = threads();
  set_threads(1);
  const auto one = train_to(folder.path() / "one", toy());
  set_threads(2);
  const auto two = train_to(folder.path() / "two", toy());
  set_threads(before);
  EXPECT_EQ(one, two);
}

TEST(Gan, LearnsWhatIsBright) {
  if (QKV_SWEEP > 1) GTEST_SKIP() << "learnt without sanitizers: no other loops";
  const Temporary folder;
  GanRecipe r = toy();
  r.size = 8;
  r.attention = AttentionSide::none;
  r.unconditional = true;
  r.train.schedule.rate = r.discriminator_rate = 1e-3;
  r.moving_decay = 0.9;
  r.train.steps = 300;
  r.train.validate_every = 0;
  PictureSet set = sides(20, 8);
  for (std::size_t n = 1; n < 20; n += 2) set.pictures[n] = set.pictures[n - 1];  // all at the left
  TrainingRun run({.model = (folder.path() / "m").string()});
  {
    const ThreadScope one(1);  // its loops are too short for more
    (void)train_gan(r, gan_pictures(set, r), run);
  }
  double left = 0, right = 0;
  for (const MadePicture& made :
       PictureGenerator::load(folder.path() / "m").generate({.count = 8})) {
    EXPECT_EQ(made.label, "");
    for (int i = 0; i < 64; ++i) {
      (i % 8 < 4 ? left : right) += made.picture.at(0, i / 8, i % 8) / 256.0;
    }
  }
  EXPECT_GT(left, right + 80);  // of 255
}

TEST(Gan, PicturesAreCutAndResized) {
  GanRecipe r = toy();
  r.batch = 2;
  PictureSet set = sides(3, 20);
  set.pictures[0] = Picture(3, 16, 30);
  const GanPictures pictures = gan_pictures(set, r);
  ASSERT_EQ(pictures.pictures.size(), 3u);
  for (const Picture& p : pictures.pictures) {
    EXPECT_EQ(p.height, 16);
    EXPECT_EQ(p.width, 16);
    EXPECT_EQ(p.channels, 3) << "in colour where one is";
  }
  EXPECT_EQ(pictures.classes, (std::vector<std::string>{"left", "right"}));
  r.unconditional = true;
  EXPECT_TRUE(gan_pictures(set, r).classes.empty());
  Picture p(1, 16, 16);
  p.bytes[1] = 255;
  const Tensor rows = picture_rows({.pictures = {p}, .labels = {0}, .classes = {}}, {{0}});
  EXPECT_EQ(rows.values()[0], -1.0f);
  EXPECT_EQ(rows.values()[1], 1.0f);
}

template <class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Gan, SaysWhatIsWrong) {
  GanRecipe r = toy();
  r.batch = 64;
  EXPECT_THAT(message_of([&] { (void)gan_pictures(sides(12), r); }), HasSubstr("--batch"));
  r = toy();
  r.size = 20;
  EXPECT_THAT(message_of([&] { r.check(); }), HasSubstr("size 20"));
  r = toy();
  r.attention = AttentionSide::of_16;
  EXPECT_THAT(message_of([&] { r.check(); }), HasSubstr("attention at 16"));
  r = toy();
  r.train.accumulate = 2;
  EXPECT_THAT(message_of([&] { r.check(); }), HasSubstr("--accumulate"));
  r = toy();
  r.train.patience = 2;
  EXPECT_THAT(message_of([&] { r.check(); }), HasSubstr("--patience"));
}

TEST(Gan, ALossThatIsNoNumberStopsInOneLine) {
  const Temporary folder;
  GanRecipe r = toy();
  r.train.schedule.rate = r.discriminator_rate = 1e38;
  const std::string said = message_of([&] { (void)train_to(folder.path() / "m", r); });
  EXPECT_THAT(said, HasSubstr("step "));
  EXPECT_EQ(said.find('\n'), std::string::npos) << said;
}

}  // namespace
}  // namespace qkv
