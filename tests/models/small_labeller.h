// Labellers of a few numbers and batches for them.
#pragma once

#include <cstdint>
#include <vector>

#include "models/helpers.h"

#include "qkv/models/labeller.h"

namespace qkv::small_labeller {

inline constexpr std::int64_t kWords = 11, kCharacters = 7, kShapes = 4, kTags = 5, kClasses = 3;

/// Words, characters, shapes, tags and classes for sequences of these lengths.
inline LabelBatch random_batch(std::vector<std::int64_t> lengths, std::uint64_t seed) {
  Philox random(key_of(seed, 4));
  const auto draw = [&](std::int64_t n) {
    return static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(n)));
  };
  LabelBatch b;
  b.segments = Segments(lengths);
  std::vector<std::int64_t> pieces;
  for (std::int64_t t = 0; t < b.segments.total(); ++t) {
    b.words.push_back(draw(kWords));
    b.shapes.push_back(draw(kShapes));
    b.tags.push_back(draw(kTags));
    pieces.push_back(draw(5));  // a word may be empty
    for (std::int64_t i = 0; i < pieces.back(); ++i) b.characters.push_back(draw(kCharacters));
  }
  b.word_characters = Segments(pieces);
  for (std::size_t i = 0; i < lengths.size(); ++i) b.classes.push_back(draw(kClasses));
  return b;
}

inline Labeller::Config small(LabelEncoder encoder, std::int64_t tags = kTags,
                              std::int64_t classes = kClasses) {
  return {.words = kWords,
          .characters = kCharacters,
          .shapes = kShapes,
          .tags = tags,
          .classes = classes,
          .embedding = 6,
          .character_embedding = 3,
          .character_filters = 4,
          .shape_embedding = 2,
          .encoder = encoder,
          .width = 8,
          .layers = 2,
          .heads = 2,
          .feed_forward = 10,
          .max_length = 16,
          .pooling_heads = 2,
          .dropout = 0.0,
          .embedding_dropout = 0.0};
}

inline constexpr LabelEncoder kEncoders[] = {LabelEncoder::fc, LabelEncoder::cnn, LabelEncoder::rnn,
                                             LabelEncoder::attention, LabelEncoder::linear};

/// Everything that ties tags to classes.
inline Labeller::Config joint(LabelEncoder encoder, PriorMask prior = PriorMask::soft) {
  Labeller::Config c = small(encoder);
  c.class_to_tags = c.tags_to_class = true;
  c.prior = prior;
  c.prior_way = PriorWay::both;
  return c;
}

inline Labeller made(const Labeller::Config& c, std::uint64_t seed = 1, DType type = DType::f32) {
  Labeller m = Labeller::make({seed, type}, c);
  testing::shake(m, 5);
  if (c.prior != PriorMask::none) {
    const std::vector<std::int64_t> counts{9, 0, 2, 1, 0, 4, 4, 0, 0, 1, 7, 3, 1, 5, 2};
    m.set_prior(tag_prior(counts, kClasses, kTags, {.least = c.prior == PriorMask::hard ? 1 : 0}));
  }
  return m;
}

}  // namespace qkv::small_labeller
