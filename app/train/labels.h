// The settings of `qkv train tag | classify | intent`, what runs them, and how labelled files are
// read; the commands that predict read files the same way.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/train/training.h"

#include "qkv/train/labelling.h"

namespace qkv::app {

struct Program;

/// Which part of a labelled file is what.
struct LabelFiles {
  std::string format;  // columns, conllu, slots or table; empty: by task and name
  std::int64_t column = 0, word_column = 0;
  std::string field = "upos";
};
void add_label_files(CLI::App& command, LabelFiles& files, LabelTask task, const char* group);
/// One file, one folder of slot files, or the three slot files. Checks that the text has what the
/// task needs.
LabelledText read_labelled(const std::vector<std::string>& paths, const LabelFiles& files,
                           LabelTask task);

/// Without validation files: every 10th sentence, at most 1,000, taken out of the training text.
LabelledText hold_out(LabelledText& train);

/// An unset option leaves the preset's value.
struct TrainLabels : RunSettings {
  LabelTask task = LabelTask::tag;
  std::vector<std::string> train, valid, test;
  std::string directory;
  LabelFiles files;
  std::string scheme, words;
  std::string init;    // a BERT to begin with
  bool fresh = false;  // only its sizes and pieces
  bool lower = false, zero_digits = false, cased = false;
  std::optional<std::int64_t> min_count;
  std::string preset = "small", encoder, cell, pooling, prior, prior_way, interaction, crf;
  std::optional<std::int64_t> embedding, width, layers, kernel, heads, feed_forward,
      character_filters, shape_embedding, prior_least;
  std::optional<double> dropout, embedding_dropout, attention_dropout, word_dropout;
  std::optional<std::int64_t> batch_tokens;
  std::optional<double> smoothing, class_weight;
};

/// `qkv train tag`, `classify` and `intent`.
void add_train_labels(CLI::App& train, Program& program);

}  // namespace qkv::app
