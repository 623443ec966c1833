// Sound as a sequence of vectors, on packed batches: frames of mel bands go through two
// convolutions in time, whose strides shorten it, and a pre-norm Transformer encoder; then
//
//   clip    softmax over a sound's rows of q·h + b with one learned query, Σ a h -> Linear
//   frame   a label for every row, Linear; strides are 1
//   text    ctc        Linear to the symbols and the blank (ops/ctc.h)
//           attention  a Transformer decoder that spells symbol by symbol
//           joint      both on one encoder (Watanabe et al. 2017)
//
//   encoder   gelu(conv K 3, stride s₁), gelu(conv K 3, stride s₂), + sines in blocks or ALiBi,
//             layers of which each row sees all of its sound or those fewer than `window` away,
//             norm
//
// A sound gets the same numbers whatever stands beside it. T frames become T' = ⌈⌈T/s₁⌉/s₂⌉ rows.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "qkv/base/options.h"
#include "qkv/models/speech_method.h"
#include "qkv/nn/convolution.h"
#include "qkv/nn/transformer_layers.h"
#include "qkv/tensor/segments.h"

namespace qkv {

/// What is said of a sound.
enum class SoundTask : std::uint8_t { clip, frame, text };
constexpr std::array<std::string_view, 3> spelling(SoundTask) { return {"clip", "frame", "text"}; }
/// How a row knows its place.
enum class SoundPositions : std::uint8_t { sine, alibi };
constexpr std::array<std::string_view, 2> spelling(SoundPositions) { return {"sine", "alibi"}; }

/// Sounds end to end, with what is right of them.
struct SoundBatch {
  Segments segments;                // T frames of B sounds, each at least one
  Tensor rows;                      // [T M], standardised
  std::vector<std::int32_t> first;  // [B] what positions count from, in rows T'; empty: 0
  /// clip: a class a sound [B]; frame: a label a frame [T]; −1 counts for nothing. text: symbols,
  /// B texts end to end.
  std::vector<std::int32_t> labels;
  Segments texts;  // of labels, for text
};

struct SoundLossOptions {
  double scale = 1.0;      // of the sums: 1/tokens gives the mean
  double ctc_share = 0.3;  // joint: of the loss; the rest is the decoder's
};
/// What counts: sounds (clip), frames (frame), symbols and an end for each text (text).
struct SoundLoss {
  Tensor loss;  // scalar, differentiable
  double nll_sum = 0;
  std::int64_t tokens = 0;
  std::int64_t correct = 0;     // of the likeliest; −1 of CTC, which has no rows that are right
  std::int64_t impossible = 0;  // CTC: texts that need more rows than there are
};

/// Rows of an encoder.
struct SoundStates {
  Tensor rows;  // [T' C]
  Segments segments;
};

/// Spells: V symbols, V: the end, V + 1: the start, which is only read.
struct SpellingDecoder {
  Tensor embedding;  // [V + 2, C]
  std::vector<DecoderLayer> layers;
  LayerNorm norm;
  Linear output;  // [C V + 1]

  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("embedding", m.embedding);
    visit("layers", m.layers);
    visit("norm", m.norm);
    visit("output", m.output);
  }
  bool defined() const { return embedding.defined(); }
  /// ids [N] at places from 0 -> [N C]: √C · embedding + sines in blocks, then dropout.
  Tensor embed(std::span<const std::int32_t> ids, std::span<const std::int32_t> places,
               double dropout) const;
  /// The start and the symbols of each text -> hidden states, a row each.
  Tensor states(std::span<const std::int32_t> ids, const Segments& texts, const SoundStates& memory,
                double dropout) const;
};

struct SoundNetwork {
  struct Config {
    SoundTask task = SoundTask::clip;
    SpeechMethod method = SpeechMethod::ctc;  // text
    std::int64_t bands = 40;                  // M
    std::int64_t symbols = 0;                 // V: classes, labels of frames, symbols of texts
    std::int64_t width = 64;                  // C
    std::int64_t heads = 4;
    std::int64_t layers = 2;
    std::int64_t feed_forward = 128;  // F
    std::int64_t first_stride = 1;    // s₁
    std::int64_t second_stride = 2;   // s₂
    std::int64_t window = 0;          // rows fewer than so many away are seen; 0: all
    std::int64_t decoder_layers = 2;  // attention, joint
    SoundPositions positions = SoundPositions::sine;
    double dropout = 0.1;

    template <class Self, class Visit>
    static void each(Self& c, Visit&& visit) {
      visit({"task"}, c.task);
      visit({"method", "text: ctc, attention (a decoder that spells) or joint (both)"}, c.method);
      visit({"bands"}, c.bands);
      visit({"symbols"}, c.symbols);
      visit({"width", "Width of the model", side_bounds()}, c.width);
      visit({"heads", "Attention heads", side_bounds()}, c.heads);
      visit({"layers", "Encoder layers", between(0, 1 << 10)}, c.layers);
      visit({"feed_forward", "Width inside the feed-forward blocks", side_bounds()},
            c.feed_forward);
      visit(
          {"first_stride", "Of the first convolution: so many frames become a row", between(1, 16)},
          c.first_stride);
      visit({"second_stride", "Of the second convolution", between(1, 16)}, c.second_stride);
      visit({"window", "Rows see those fewer than so many away (0: all of the sound)",
             between(0, 1 << 20)},
            c.window);
      visit({"decoder_layers", "attention, joint: layers of the decoder", between(1, 1 << 10)},
            c.decoder_layers);
      visit({"positions", "How a row knows its place: sine or alibi"}, c.positions);
      visit({"dropout", "After positions and sub-layers and inside feed-forward", share()},
            c.dropout);
    }
    /// Throws with the field's name when a value makes no model.
    void check() const;
    bool spells() const { return task == SoundTask::text && method != SpeechMethod::ctc; }
    bool has_ctc() const { return task == SoundTask::text && method != SpeechMethod::attention; }
    std::int64_t stride() const { return first_stride * second_stride; }
  };

  Config config;
  Convolution first, second;
  std::vector<EncoderLayer> layers;
  LayerNorm norm;
  Linear pooling;  // clip: q and b, [C 1]
  Linear head;     // [C V]; of CTC [C V + 1], the blank is 0 and symbol i is i + 1
  SpellingDecoder decoder;

  static SoundNetwork make(Initialiser init, const Config& config);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("first", m.first);
    visit("second", m.second);
    visit("layers", m.layers);
    visit("norm", m.norm);
    visit("pooling", m.pooling);
    visit("head", m.head);
    if (m.decoder.defined()) visit("decoder", m.decoder);
  }

  /// Rows of a sound of so many frames.
  std::int64_t rows_of(std::int64_t frames) const;
  /// Throws ShapeError for rows of another width, and for a sound without a frame.
  SoundStates encode(const SoundBatch& batch) const;
  /// clip [B V], frame [T V], CTC [T' V + 1].
  Tensor logits(const SoundStates& states) const;
  /// Throws ShapeError where labels do not fit the sounds.
  SoundLoss loss(const SoundBatch& batch, const SoundLossOptions& options = {}) const;

 private:
  SoundLoss text_loss(const SoundBatch& batch, const SoundLossOptions& options) const;
};

/// What the results of docs/results.md have: clip C 64, 2 layers, strides 1 and 2;
/// frame C 96, 3 layers, window 30; text C 96, 4 layers, strides 2 and 2; F = 2C, 4 heads.
SoundNetwork::Config sound_sizes(SoundTask task);

}  // namespace qkv
