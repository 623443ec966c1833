// Attention along a sound: its spectrogram, and under it what a query attends to, on one axis of
// time. For the terminal, SVG and PNG as one heat map; as a page with choosers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "qkv/view/attention_maps.h"
#include "qkv/view/heat_map.h"

namespace qkv {

/// A sound as a model heard it. Columns of encoder_self and cross maps are rows of the encoder,
/// each as long as the other and in time.
struct SoundAttention {
  AttentionMaps maps;
  Tensor frames;       // [T M]: logarithms of bands, the lowest first
  double seconds = 0;  // of all frames
  double highest = 0;  // hertz of the highest band
};

struct SoundLook {
  AttentionMap::Kind kind = AttentionMap::Kind::cross;
  int layer = -1, head = kMeanHead;
  std::optional<double> at = {};  // seconds: of encoder_self the query there alone
  std::int64_t queries = 24;      // rows of attention at most: neighbours merge
  std::int64_t columns = 200;     // moments at most, likewise
  std::int64_t bands = 12;        // rows of the spectrogram
};

/// Rows: the spectrogram from its highest band down, each number between its least (0) and most
/// (1); a line of zeros; then queries, weights over the largest of them. Columns: time. Throws
/// Error for a kind, layer or head that is not there, for decoder_self, and a moment outside the
/// sound.
HeatMap sound_heat_map(const SoundAttention& sound, const SoundLook& look = {});

/// A page that needs nothing else: spectrogram, choosers of kind, layer and head, the weights of
/// all queries, and the one under the mouse drawn along the spectrogram. At most `most` rows of
/// maps.
std::string sound_page(const SoundAttention& sound, const std::string& title,
                       std::int64_t most = 200);

}  // namespace qkv
