// The spelling decoder of a sound network (qkv/models/sound_network.h) as a StepModel. A source is
// the numbers of its sound's rows among all rows of a SoundStates: {0 … T'₀ − 1}, {T'₀ …}, ….
#pragma once

#include <vector>

#include "qkv/decode/transformer_decoder.h"
#include "qkv/models/sound_network.h"

namespace qkv {

/// Both must outlive it. The end V begins texts too: at the place 0 it is read as the start.
TransformerDecoder spelling_model(const SpellingDecoder& decoder, const SoundStates& states);

/// The rows of each sound, as sources.
std::vector<Tokens> sound_sources(const SoundStates& states);

}  // namespace qkv
