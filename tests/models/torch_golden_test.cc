// PyTorch's own tests of its Transformer layers (test/test_nn.py, test/test_transformers.py): every
// parameter tensor holds cos 0, cos 1, …, in PyTorch's layout; d_model 4, 2 heads, 16 inner units.
#include "models/helpers.h"
#include <gtest/gtest.h>

#include "qkv/models/torch_transformer.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

using testing::expect_near;
using testing::matrix;

constexpr double kTolerance = 1e-5;  // the published values have six decimals

template <class M>
void fill_with_cosines(M& module) {
  StateDict state = state_dict(module);
  for (auto& [name, tensor] : state) {
    for (std::int64_t i = 0; i < tensor.count(); ++i) {
      tensor.data()[i] = static_cast<float>(std::cos(static_cast<double>(i)));
    }
  }
  load_state_dict(module, state);
}

constexpr TorchLayerOptions kOptions = {
    .d_model = 4, .nhead = 2, .dim_feedforward = 16, .dropout = 0.0};

TorchEncoderLayer encoder_layer(TorchLayerOptions options = kOptions) {
  TorchEncoderLayer layer = TorchEncoderLayer::make(1, options);
  fill_with_cosines(layer);
  return layer;
}

TorchDecoderLayer decoder_layer(TorchLayerOptions options = kOptions) {
  TorchDecoderLayer layer = TorchDecoderLayer::make(1, options);
  fill_with_cosines(layer);
  return layer;
}

const Tensor& input_a() {
  static const Tensor a = matrix({{.7462, .6653, .5679, .4891},
                                  {.8335, .2799, .5031, .2947},
                                  {.6333, .9344, .1376, .9938},
                                  {.9897, .6915, .3154, .1733},
                                  {.8117, .2366, .4838, .7881}});
  return a;
}
const Tensor& input_b() {
  static const Tensor b = matrix({{.5387, .1655, .3565, .0471},
                                  {.1402, .0318, .7636, .1346},
                                  {.8924, .2872, .6692, .2944},
                                  {.8645, .3513, .3064, .0767},
                                  {.3718, .4945, .9511, .0864}});
  return b;
}
const Tensor& target_t() {
  static const Tensor t = matrix(
      {{.4517, .6793, .5313, .0034}, {.8100, .3716, .4096, .1976}, {.0494, .9343, .5955, .3830}});
  return t;
}
const Tensor& encoded_a() {
  static const Tensor a = matrix({{2.428589, .020835, -.602055, -.085249},
                                  {2.424689, .019155, -.604793, -.085672},
                                  {2.433774, .021598, -.598343, -.087548},
                                  {2.436185, .022682, -.596625, -.087261},
                                  {2.416246, .017512, -.610712, -.082961}});
  return a;
}
const Tensor& encoded_b() {
  static const Tensor b = matrix({{2.427988, .021213, -.602496, -.084103},
                                  {2.413864, .022211, -.612487, -.072490},
                                  {2.425104, .019748, -.604515, -.084839},
                                  {2.433556, .021891, -.598509, -.086832},
                                  {2.422901, .024187, -.606178, -.074930}});
  return b;
}
const Tensor& encoded_a_without_key_1() {
  static const Tensor a = matrix({{2.429026, .020793, -.601741, -.085642},
                                  {2.425009, .019155, -.604566, -.085899},
                                  {2.434199, .021682, -.598039, -.087699},
                                  {2.436457, .022736, -.596430, -.087360},
                                  {2.416531, .017498, -.610513, -.083181}});
  return a;
}
const Tensor& encoded_a_causal() {
  static const Tensor a = matrix({{2.426783, .019729, -.603317, -.086063},
                                  {2.423050, .018655, -.605945, -.085475},
                                  {2.433930, .021496, -.598228, -.087856},
                                  {2.434866, .022130, -.597568, -.087339},
                                  {2.416247, .017512, -.610713, -.082962}});
  return a;
}

/// [L C] each -> [B L C] or [L B C].
Tensor batch_of(const std::vector<Tensor>& sequences, bool batch_first) {
  const auto count = static_cast<std::int64_t>(sequences.size());
  const std::int64_t length = sequences[0].dim(0), width = sequences[0].dim(1);
  Tensor x = Tensor::empty(batch_first ? Shape{count, length, width} : Shape{length, count, width});
  for (std::int64_t b = 0; b < count; ++b) {
    for (std::int64_t i = 0; i < length; ++i) {
      const std::int64_t row = batch_first ? b * length + i : i * count + b;
      std::copy_n(sequences[static_cast<std::size_t>(b)].data() + i * width, width,
                  x.data() + row * width);
    }
  }
  return x;
}

/// One hidden key in each of `batch` sequences of `length`.
TorchMask hidden_key(std::int64_t batch, std::int64_t length, std::int64_t key) {
  std::vector<std::uint8_t> hidden(static_cast<std::size_t>(batch * length), 0);
  for (std::int64_t b = 0; b < batch; ++b) hidden[static_cast<std::size_t>(b * length + key)] = 1;
  return {batch, length, hidden};
}

TEST(TorchGolden, EncoderLayerOfOneVector) {
  expect_near(encoder_layer()(matrix({{20, 30, 40, 50}})),
              matrix({{2.258703, .127985, -.697881, .170862}}), kTolerance);
}

TEST(TorchGolden, EncoderLayerOfTwoVectors) {
  const Tensor x = matrix({{1, 2, 3, 4}, {5, 6, 7, 8}});
  expect_near(
      encoder_layer()(x),
      matrix({{2.272644, .119035, -.691669, .153486}, {2.272644, .119035, -.691669, .153486}}),
      kTolerance);
  expect_near(
      encoder_layer()(x, {.key_padding = hidden_key(1, 2, 0)}),
      matrix({{2.301516, .092249, -.679101, .103088}, {2.301516, .092249, -.679101, .103088}}),
      kTolerance);
}

TEST(TorchGolden, EncoderLayerOfABatchInBothLayouts) {
  for (const bool batch_first : {false, true}) {
    TorchLayerOptions options = kOptions;
    options.batch_first = batch_first;
    const Tensor x = batch_of({input_a(), input_b()}, batch_first);
    expect_near(encoder_layer(options)(x), batch_of({encoded_a(), encoded_b()}, batch_first),
                kTolerance);
  }
}

TEST(TorchGolden, EveryFormOfMask) {
  const TorchEncoderLayer layer = encoder_layer();
  const Tensor& without_1 = encoded_a_without_key_1();
  expect_near(layer(input_a(), {.key_padding = hidden_key(1, 5, 1)}), without_1, kTolerance);
  expect_near(layer(input_a(), {.attention = hidden_key(5, 5, 1)}), without_1, kTolerance);
  Tensor additive = Tensor::zeros({1, 5});
  additive.data()[1] = -std::numeric_limits<float>::infinity();
  expect_near(layer(input_a(), {.key_padding = TorchMask::of(additive)}), without_1, kTolerance);

  std::vector<std::uint8_t> later(25, 0);
  for (std::size_t i = 0; i < 5; ++i) {
    for (std::size_t j = i + 1; j < 5; ++j) later[i * 5 + j] = 1;
  }
  expect_near(layer(input_a(), {.causal = true}), encoded_a_causal(), kTolerance);
  expect_near(layer(input_a(), {.attention = {5, 5, later}}), encoded_a_causal(), kTolerance);
  for (const DType type : {DType::f32, DType::f64}) {
    const TorchMask mask = TorchMask::of(square_subsequent_mask(5, type));
    expect_near(layer(input_a(), {.attention = mask}), encoded_a_causal(), kTolerance);
  }
}

TEST(TorchGolden, PaddingOfOneSequenceLeavesTheOtherAlone) {
  for (const bool batch_first : {false, true}) {
    TorchLayerOptions options = kOptions;
    options.batch_first = batch_first;
    const Tensor x = batch_of({input_a(), input_b()}, batch_first);
    const TorchMask padding(2, 5, {0, 1, 0, 0, 0, 0, 0, 0, 0, 0});
    expect_near(encoder_layer(options)(x, {.key_padding = padding}),
                batch_of({encoded_a_without_key_1(), encoded_b()}, batch_first), kTolerance);
  }
}

TEST(TorchGolden, EncoderStack) {
  const TorchMasks masks = {.key_padding = hidden_key(1, 5, 1)};
  const TorchEncoder bare = TorchEncoder::make(encoder_layer(), 2);
  expect_near(bare(input_a(), masks).rows(0, 1), matrix({{2.419051, .017446, -.608738, -.085003}}),
              kTolerance);
  Initialiser init(1);
  const TorchEncoder normed =
      TorchEncoder::make(encoder_layer(), 2, LayerNorm::make(init, 4, 1e-5));
  expect_near(normed(input_a(), masks).rows(0, 1),
              matrix({{1.695949, -.357635, -.893077, -.445238}}), kTolerance);
}

TEST(TorchGolden, DecoderLayer) {
  const TorchDecoderLayer layer = decoder_layer();
  expect_near(layer(matrix({{20, 30, 40, 50}}), matrix({{60, 70, 80, 90}})),
              matrix({{2.314351, .094805, -.671322, .101977}}), kTolerance);
  expect_near(
      layer(matrix({{9, 10, 11, 12}, {11, 12, 13, 14}}), matrix({{1, 2, 3, 4}})),
      matrix({{2.422245, .051716, -.606338, -.024756}, {2.422245, .051716, -.606338, -.024756}}),
      kTolerance);
}

TEST(TorchGolden, DecoderLayerOverAMemoryOfAnotherLength) {
  const Tensor wanted = matrix({{2.430065, .027862, -.601136, -.073096},
                                {2.428457, .027053, -.602275, -.073462},
                                {2.431934, .028196, -.599802, -.073809}});
  for (const bool batch_first : {false, true}) {
    TorchLayerOptions options = kOptions;
    options.batch_first = batch_first;
    const TorchDecoderLayer layer = decoder_layer(options);
    expect_near(layer(target_t(), input_a()), wanted, kTolerance);
    const Tensor y = layer(batch_of({target_t(), target_t()}, batch_first),
                           batch_of({input_a(), input_a()}, batch_first));
    expect_near(y, batch_of({wanted, wanted}, batch_first), kTolerance);
    expect_near(layer(target_t(), input_a(), {.key_padding = hidden_key(1, 3, 2)}).rows(0, 1),
                matrix({{2.430025, .027643, -.601164, -.073476}}), kTolerance);
  }
}

TEST(TorchGolden, TheArticlesClassAsPrinted) {
  ArticleTransformer model = ArticleTransformer::make(1, kOptions, 1);
  fill_with_cosines(model);
  const Tensor y = model.literal(input_a(), target_t());
  expect_near(y.rows(0, 1), matrix({{2.418261, .017354, -.609292, -.084636}}), kTolerance);
  EXPECT_NEAR(y.data()[8], 2.418262F, kTolerance);
}

}  // namespace
}  // namespace qkv
