// The weights of decoder-only language models under the names that their own programs give them.
#pragma once

#include <string>
#include <vector>

#include "qkv/models/mpt.h"
#include "qkv/nn/state_dict.h"
#include "qkv/systems/import/decoder_config.h"

namespace qkv {

class ModelDirectory;

/// A network's numbers under the names of its family; the list shares them.
StateEntries decoder_entries(const Mpt& network, DecoderFamily family);

/// The network of a configuration with the weights of its directory. Buffers are passed over, an
/// output matrix that repeats the embeddings must be their copy, whatever else has no place is
/// named in the decoder's notes. Throws DataError for what is missing or of another shape.
Mpt read_decoder_weights(const ModelDirectory& directory, ForeignDecoder& decoder);

}  // namespace qkv
