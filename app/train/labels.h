// The settings of `qkv train tag | classify | intent`, what runs them, and how labelled files are
// read; the commands that predict read files the same way.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/train/training.h"

#include "qkv/train/label_files.h"
#include "qkv/train/labelling.h"

namespace qkv::app {

struct Program;

void add_label_files(CLI::App& command, LabelFiles& files, LabelTask task, const char* group);
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
