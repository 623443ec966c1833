#include "qkv/systems/vector_model.h"

#include <functional>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/io/directory.h"
#include "qkv/io/json.h"
#include "qkv/systems/config_fields.h"
#include "qkv/systems/load_whole.h"
#include "qkv/systems/weights_file.h"

namespace qkv {
namespace {

constexpr const char* kWordsFile = "words.vocabulary";

}  // namespace

std::int32_t VectorModel::row(std::string_view word) const {
  return label_id(words, word_as_read(word, word_options));
}

VectorCorpus make_vector_corpus(std::span<const std::string> lines, const WordOptions& options,
                                std::int64_t min_count, VectorModel& model) {
  TokenCounts counts;
  std::vector<std::vector<std::string>> sentences;
  for (const std::string& line : lines) {
    sentences.push_back(cut_words(line, options.cut));
    for (std::string& word : sentences.back()) {
      word = word_as_read(word, options);
      count_token(counts, word);
    }
  }
  model.word_options = options;
  model.words = Vocabulary(counts, {.min_count = min_count});
  if (label_count(model.words) < 2) {
    fail("only {} words occur {} times; give more text or a lower --min-count",
         label_count(model.words), min_count);
  }
  VectorCorpus corpus;
  corpus.counts.resize(static_cast<std::size_t>(label_count(model.words)));
  for (const auto& sentence : sentences) {
    for (const std::string& word : sentence) {
      const std::int32_t row = label_id(model.words, word);
      if (row < 0) {
        ++corpus.left_out;
        continue;
      }
      ++corpus.counts[static_cast<std::size_t>(row)];
      corpus.ids.push_back(row);
    }
    corpus.sentences.push_back(static_cast<std::int64_t>(corpus.ids.size()));
  }
  return corpus;
}

void save_vector_model(const VectorModel& model, const std::filesystem::path& directory) {
  DirectoryWriter writer(directory);
  model.words.save(writer.folder() / kWordsFile);
  save_weights(named_parameters(model), writer.folder());
  writer.commit({{"task", "vectors"},
                 {"words",
                  {{"lowercase", model.word_options.lowercase},
                   {"zero_digits", model.word_options.zero_digits},
                   {"cut", name_of(model.word_options.cut)}}},
                 {"model", config_json(model.vectors.config)}});
}

namespace {

VectorModel read_vector_model(const ModelDirectory& directory) {
  const Json& config = directory.config();
  const std::string config_path = directory.config_path();
  FieldReader reader(config, config_path);
  reader.has("format");
  const std::string task = reader.text("task");
  if (task != "vectors") {
    throw DataError(config_path, 0, fmt::format("holds no word vectors (task '{}')", task));
  }
  VectorModel model;
  FieldReader words = reader.object("words");
  model.word_options.lowercase = words.boolean("lowercase");
  model.word_options.zero_digits = words.boolean("zero_digits");
  model.word_options.cut = static_cast<WordCut>(words.choice("cut", names_of<WordCut>()));
  words.finish();
  const auto sizes = config_from<VectorNetwork::Config>(reader.object("model"), config_path);
  reader.finish();
  model.words = Vocabulary::load(directory.file(kWordsFile));
  if (label_count(model.words) != sizes.words) {
    throw DataError(directory.file(kWordsFile).string(), 0,
                    fmt::format("has {} words, {} says {}", label_count(model.words), config_path,
                                sizes.words));
  }
  WeightsFile weights(directory);
  model.vectors = weights.network<VectorNetwork>(sizes);
  weights.take_all(model);
  weights.finish();
  return model;
}

}  // namespace

VectorModel load_vector_model(const std::filesystem::path& directory) {
  return load_whole(directory, read_vector_model);
}

void write_vector_text(const VectorModel& model, const std::filesystem::path& path) {
  const Tensor& table = model.vectors.input;
  write_file(path, [&](const std::function<void(std::string_view)>& append) {
    append(fmt::format("{} {}\n", table.dim(0), table.dim(1)));
    for (std::int32_t r = 0; r < table.dim(0); ++r) {
      std::string line = model.word(r);
      const Tensor row = table.rows(r, r + 1);
      for (const float x : row.values()) line += fmt::format(" {:g}", x);
      append(line + "\n");
    }
  });
}

}  // namespace qkv
