#include "qkv/train/vectors.h"

#include <cmath>

#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"

namespace qkv {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

/// Words of two kinds that never meet, in random order: "a0 … a4" and "b0 … b4".
std::vector<std::string> two_worlds(int lines) {
  Philox random(1);
  std::vector<std::string> text;
  for (int i = 0; i < lines; ++i) {
    std::string line;
    for (int t = 0; t < 8; ++t) {
      line += std::string(t > 0 ? " " : "") + (i % 2 ? "a" : "b") + std::to_string(random.below(5));
    }
    text.push_back(line);
  }
  return text;
}

VectorModel trained(const VectorNetwork::Config& config, const VectorOptions& options,
                    VectorReport* report = nullptr) {
  VectorModel model;
  const VectorCorpus corpus = make_vector_corpus(two_worlds(300), {}, 1, model);
  VectorNetwork::Config c = config;
  c.words = 10;
  c.width = 12;
  model.vectors = VectorNetwork::make(options.seed, c);
  const VectorReport r = train_vectors(model.vectors, corpus, options);
  if (report) *report = r;
  return model;
}

TEST(Vectors, KeepProbabilityIsThePublishedOne) {
  // word2vec.c with -sample 1e-3: a word that is a tenth of the text.
  EXPECT_NEAR(keep_probability(100'000, 1'000'000, 1e-3), (std::sqrt(100.0) + 1) / 100, 1e-12);
  EXPECT_EQ(keep_probability(10, 1'000'000, 1e-3), 1.0);
}

TEST(Vectors, TheCorpusLeavesRareWordsOut) {
  VectorModel model;
  const std::vector<std::string> lines = {"The cat the dog", "", "cat the once"};
  const VectorCorpus corpus = make_vector_corpus(lines, {.lowercase = true}, 2, model);
  EXPECT_THAT(corpus.counts, testing::ElementsAre(3, 2));  // the, cat
  EXPECT_THAT(corpus.ids, testing::ElementsAre(0, 1, 0, 1, 0));
  EXPECT_THAT(corpus.sentences, testing::ElementsAre(0, 3, 3, 5));
  EXPECT_EQ(corpus.left_out, 2);
  EXPECT_EQ(model.row("CAT"), 1);
  EXPECT_EQ(model.row("dog"), -1);
  EXPECT_EQ(model.word(0), "the");
  EXPECT_THROW((void)make_vector_corpus(lines, {}, 3, model), Error);
}

TEST(Vectors, WordsThatMeetComeNearEachOther) {
  for (const VectorTask task : {VectorTask::cbow, VectorTask::skip_gram}) {
    for (const VectorLoss loss : {VectorLoss::negative, VectorLoss::hierarchical}) {
      for (const ContextSum context : {ContextSum::mean, ContextSum::sum}) {
        if (task == VectorTask::skip_gram && context == ContextSum::sum) continue;
        VectorReport report;
        const VectorModel model = trained({.task = task, .context = context, .loss = loss},
                                          {.epochs = 8, .window = 3, .sample = 0}, &report);
        EXPECT_EQ(report.words, 8 * 300 * 8);
        for (std::int32_t r = 0; r < 10; ++r) {
          const auto near = nearest_rows(model.vectors.input, unit_row(model.vectors.input, r), 4,
                                         std::vector<std::int32_t>{r});
          for (const auto& [row, cosine] : near) {
            EXPECT_EQ(model.word(row)[0], model.word(r)[0])
                << static_cast<int>(task) << static_cast<int>(loss) << static_cast<int>(context);
          }
        }
      }
    }
  }
}

TEST(Vectors, ASeedGivesTheSameBits) {
  const VectorOptions options{.epochs = 1, .sample = 1e-2, .seed = 3};
  const auto bits = [&](const VectorOptions& o) {
    const VectorModel m = trained({}, o);
    return std::vector<float>(m.vectors.input.values().begin(), m.vectors.input.values().end());
  };
  const std::vector<float> once = bits(options);
  EXPECT_TRUE(once == bits(options));
  VectorOptions other = options;
  other.seed = 4;
  EXPECT_FALSE(once == bits(other));
}

TEST(Vectors, FilesGiveTheSameVectorsBack) {
  const Temporary folder;
  const VectorModel model = trained({.loss = VectorLoss::hierarchical}, {.epochs = 1});
  save_vector_model(model, folder / "m");
  const VectorModel again = load_vector_model(folder / "m");
  EXPECT_TRUE(std::equal(model.vectors.input.values().begin(), model.vectors.input.values().end(),
                         again.vectors.input.values().begin()));
  EXPECT_EQ(again.vectors.config.loss, VectorLoss::hierarchical);
  EXPECT_EQ(again.word(3), model.word(3));
  write_vector_text(model, folder / "v.txt");
  const std::string text = read_file(folder / "v.txt");
  EXPECT_EQ(text.rfind("10 12\n" + model.word(0) + " ", 0), 0U);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 11);

  std::string config = read_file(folder / "m/config.json");
  const auto damaged = [&](const std::string& from, const std::string& to, const char* why) {
    std::string other = config;
    other.replace(other.find(from), from.size(), to);
    write_file(folder / "m/config.json", other);
    EXPECT_THAT([&] { (void)load_vector_model(folder / "m"); },
                ThrowsMessage<DataError>(HasSubstr(why)));
  };
  damaged("\"vectors\"", "\"tag\"", "holds no word vectors");
  damaged("\"hierarchical\"", "\"negative\"", "output");
  damaged("\"width\": 12", "\"width\": 1000000", "model.safetensors");
  damaged("\"words\": 10", "\"words\": 11", "has 10 words");
}

TEST(Vectors, OptionsThatMakeNoSenseThrow) {
  for (const VectorOptions& o :
       {VectorOptions{.epochs = 0}, VectorOptions{.window = 0}, VectorOptions{.negatives = 0},
        VectorOptions{.sample = -1}, VectorOptions{.rate = -1}}) {
    EXPECT_THROW((void)trained({}, o), UsageError);
  }
}

TEST(Vectors, ARunGoesFromFilesToADirectory) {
  const Temporary folder;
  std::string text;
  for (const std::string& line : two_worlds(60)) text += line + "\n";
  write_file(folder / "text", text);
  const VectorRecipe recipe{.network = {.width = 12}, .train = {.epochs = 2}, .min_count = 1};
  VectorFiles files{.train = {folder / "text"}, .model = folder / "m", .text = {}};
  std::vector<std::string> said;
  const VectorReport report = train_vectors(
      recipe, files,
      {.progress = {}, .line = [&](const std::string& line) { said.push_back(line); }});
  EXPECT_EQ(report.words, 2 * 60 * 8);
  EXPECT_THAT(said, testing::ElementsAre(HasSubstr("480 words in 60 lines"), HasSubstr("done: ")));
  const VectorModel model = load_vector_model(folder / "m");
  EXPECT_TRUE(
      std::ranges::equal(model.vectors.input.values(),
                         make_vectors(recipe, two_worlds(60)).model.vectors.input.values()));
  // Nothing of a model that is there is touched, nor is the text read first.
  files.train = {folder / "nowhere"};
  EXPECT_THAT([&] { (void)train_vectors(recipe, files); },
              ThrowsMessage<Error>(HasSubstr("--overwrite")));
  files = {.train = {folder / "text"}, .model = folder / "m", .overwrite = true, .text = {}};
  EXPECT_NO_THROW((void)train_vectors(recipe, files));
}

}  // namespace
}  // namespace qkv
