// The nn.Transformer family of PyTorch on our modules: layers, stacks and the whole encoder–decoder
// with its defaults, initialisation, masks and state-dict names; and an article's class built from
// the two stacks, as printed and corrected. Input are dense batches of vectors (no embedding, no
// positions); they are packed on the way in, and masks become one qkv Mask. Where the two differ
// is said in docs/models.md; in short: an additive mask other than 0 / −inf is refused, and a query
// that sees nothing attends to zeros (PyTorch: NaN).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "qkv/nn/state_dict.h"
#include "qkv/nn/transformer_layers.h"

namespace qkv {

/// The arguments of the layers, under PyTorch's names and with its defaults.
struct TorchLayerOptions {
  std::int64_t d_model = 512;
  std::int64_t nhead = 8;
  std::int64_t dim_feedforward = 2048;
  double dropout = 0.1;  // on the weights, after the activation, and on each sub-layer's result
  Activation activation = Activation::relu;
  double layer_norm_eps = 1e-5;
  bool batch_first = false;  // [B L C]; else [L B C]
  bool norm_first = false;
  bool bias = true;  // of all products and norms

  /// Throws with the argument's name when a value makes no layer.
  void check() const;
};

/// What must not be seen, [rows cols]. Default: nothing is hidden.
class TorchMask {
 public:
  TorchMask() = default;
  /// A bool mask: hidden[r·cols + c] ≠ 0 means not allowed (PyTorch's True).
  TorchMask(std::int64_t rows, std::int64_t cols, std::vector<std::uint8_t> hidden);
  /// A float mask [rows cols]: 0 or −inf. Anything else would have to be added to the scores, which
  /// is not supported here: throws.
  static TorchMask of(const Tensor& additive);

  bool defined() const { return hidden_ != nullptr; }
  std::int64_t rows() const { return rows_; }
  std::int64_t cols() const { return cols_; }
  bool hides(std::int64_t row, std::int64_t col) const {
    return (*hidden_)[static_cast<std::size_t>(row * cols_ + col)] != 0;
  }

 private:
  std::int64_t rows_ = 0, cols_ = 0;
  std::shared_ptr<const std::vector<std::uint8_t>> hidden_;
};

/// generate_square_subsequent_mask: [size size], −inf above the diagonal, else 0.
Tensor square_subsequent_mask(std::int64_t size, DType type = DType::f32);

/// The masks of one attention. A key is seen when nothing hides it.
struct TorchMasks {
  TorchMask attention{};    // attn_mask [Lq Lk], the same for all of the batch
  TorchMask key_padding{};  // key_padding_mask [B Lk]
  bool causal = false;      // is_causal; an order here, not a hint: no attention mask is needed
};

/// src [L B C], [B L C] with batch_first, or [L C] alone -> the same shape.
struct TorchEncoderLayer {
  TorchLayerOptions options;
  EncoderLayer layer;

  static TorchEncoderLayer make(Initialiser init, const TorchLayerOptions& options);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    EncoderLayer::each(m.layer, visit);
  }
  Tensor operator()(const Tensor& src, const TorchMasks& masks = {}) const;
};

struct TorchDecoderLayer {
  TorchLayerOptions options;
  DecoderLayer layer;

  static TorchDecoderLayer make(Initialiser init, const TorchLayerOptions& options);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    DecoderLayer::each(m.layer, visit);
  }
  Tensor operator()(const Tensor& tgt, const Tensor& memory, const TorchMasks& target = {},
                    const TorchMasks& cross = {}) const;
};

/// TransformerEncoder: copies of one layer, all with the same initial weights, and no norm unless
/// one is given.
struct TorchEncoder {
  TorchLayerOptions options;
  std::vector<EncoderLayer> layers;
  LayerNorm norm;  // no weight: none

  static TorchEncoder make(const TorchEncoderLayer& layer, std::int64_t num_layers,
                           const LayerNorm& norm = {});
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("layers", m.layers);
    visit("norm", m.norm);
  }
  Tensor operator()(const Tensor& src, const TorchMasks& masks = {}) const;
};

/// TransformerDecoder, likewise.
struct TorchDecoder {
  TorchLayerOptions options;
  std::vector<DecoderLayer> layers;
  LayerNorm norm;

  static TorchDecoder make(const TorchDecoderLayer& layer, std::int64_t num_layers,
                           const LayerNorm& norm = {});
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("layers", m.layers);
    visit("norm", m.norm);
  }
  Tensor operator()(const Tensor& tgt, const Tensor& memory, const TorchMasks& target = {},
                    const TorchMasks& cross = {}) const;
};

struct TorchTransformerMasks {
  TorchMasks source{};  // src_mask, src_key_padding_mask, src_is_causal
  TorchMasks target{};  // tgt_…
  TorchMasks memory{};  // memory_mask [Lt Ls], memory_key_padding_mask [B Ls], memory_is_causal
};

/// nn.Transformer: both stacks end in a norm, and every matrix of every layer is drawn afresh,
/// Xavier-uniform. Like nn.Transformer it adds no causal mask of itself: ask for target.causal.
struct TorchTransformer {
  struct Config {
    TorchLayerOptions layer;
    std::int64_t num_encoder_layers = 6;
    std::int64_t num_decoder_layers = 6;
  };
  TorchEncoder encoder;
  TorchDecoder decoder;

  static TorchTransformer make(Initialiser init, const Config& config);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("encoder", m.encoder);
    visit("decoder", m.decoder);
  }
  Tensor operator()(const Tensor& src, const Tensor& tgt,
                    const TorchTransformerMasks& masks = {}) const;
};

/// A widely copied class over the two stacks, without final norms. As printed it sends the target
/// through the *encoder* and masks nothing:
///
///   return self.decoder(self.encoder(tgt), self.encoder(src))
///
/// So position i of the output depends on target tokens after i, twice: through the encoder, where
/// every row sees every row, and through the decoder's self-attention without a causal mask.
/// Trained to predict the next token it learns to copy it, the loss falls to almost nothing, and
/// generation, where no next token is there to copy, fails. `corrected` has the same parameters:
/// the target enters the decoder directly, under a causal mask, and padding can be hidden.
struct ArticleTransformer {
  TorchEncoder encoder;
  TorchDecoder decoder;

  static ArticleTransformer make(Initialiser init, const TorchLayerOptions& layer,
                                 std::int64_t num_layers);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("encoder", m.encoder);
    visit("decoder", m.decoder);
  }
  /// As printed: leaks the target.
  Tensor literal(const Tensor& src, const Tensor& tgt) const;
  /// Key padding masks [B Ls] and [B Lt]; the causal mask is always there.
  Tensor corrected(const Tensor& src, const Tensor& tgt, const TorchMask& src_key_padding = {},
                   const TorchMask& tgt_key_padding = {}) const;
};

/// Weights under PyTorch's names and in its layout: q, k and v of one attention as in_proj_weight
/// [3C C] and in_proj_bias [3C] (qkv/nn/state_dict.h).
///
/// Copies of all weights, in PyTorch's order. M is any of the six structs above.
template <class M>
StateDict state_dict(const M& module);
/// Writes the numbers into the module's tensors. Strict: throws when a name is missing, unknown or
/// there twice, or a shape does not fit; then nothing has changed.
template <class M>
void load_state_dict(M& module, const StateDict& state);

}  // namespace qkv
