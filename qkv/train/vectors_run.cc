// Text files in, word vectors in a directory out.
#include <algorithm>

#include <fmt/format.h>

#include "qkv/base/progress.h"
#include "qkv/data/text_stream.h"
#include "qkv/train/run_directory.h"
#include "qkv/train/vectors.h"

namespace qkv {

TrainedVectors make_vectors(const VectorRecipe& r, std::span<const std::string> lines,
                            const TrainWatch& watch) {
  TrainedVectors made;
  VectorModel& model = made.model;
  const VectorCorpus corpus = make_vector_corpus(lines, r.words, r.min_count, model);
  VectorNetwork::Config config = r.network;
  config.words = static_cast<std::int64_t>(corpus.counts.size());
  model.vectors = VectorNetwork::make(r.train.seed, config);
  watch.say(fmt::format("text: {} words in {} lines, {} more too rare; vocabulary {}; {} numbers",
                        grouped(static_cast<std::int64_t>(corpus.ids.size())),
                        grouped(static_cast<std::int64_t>(corpus.sentences.size()) - 1),
                        grouped(corpus.left_out), grouped(config.words),
                        grouped(parameter_count(model))));
  made.report = train_vectors(model.vectors, corpus, r.train, watch.progress);
  return made;
}

VectorReport train_vectors(const VectorRecipe& recipe, const VectorFiles& files,
                           const TrainWatch& watch) {
  (void)begin_of(files.model, files.overwrite);
  const auto [model, report] = make_vectors(recipe, read_text(files.train), watch);
  save_vector_model(model, files.model);
  forget_run(files.model);
  if (!files.text.empty()) write_vector_text(model, files.text);
  watch.say(fmt::format("done: {} words in {}, {:.0f}k words/s; {} examples, loss {:.4f}",
                        grouped(report.words), duration_text(report.seconds),
                        static_cast<double>(report.words) / 1000 / std::max(report.seconds, 1e-9),
                        grouped(report.examples), report.loss));
  return report;
}

}  // namespace qkv
