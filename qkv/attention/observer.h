// Looking at attention while a model runs: one observer sees every call of attend(),
// linear_attend(), linear_step() and the caches' attend(), in order, under the name of the module
// that made it. Without one a call costs a test of a pointer.
//
//   const AttentionObserver look([](const AttentionCall& call) {
//     print(call.path, call.weights({0, 8}, {0, call.keys}));   // "encoder.layers.0.self", …
//   });
//   model.encode(…);
//
// Modules name themselves by what a part is for, whatever its parameters are called:
//   encoder.layers.N.self   decoder.layers.N.self   decoder.layers.N.cross
//   blocks.N.attn           encoder.pooling         decoder.attention
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "qkv/attention/attend.h"

namespace qkv {

struct LinearAttention;

enum class AttentionKind : std::uint8_t {
  softmax,      ///< attend(), with whatever normaliser
  linear,       ///< linear_attend()
  cached,       ///< a cache's attend(): rows are the tokens of this step
  linear_step,  ///< linear_step(): earlier keys are summed up and gone, so keys are this step's own
};

/// One call, valid while the observer looks.
struct AttentionCall {
  using Weights = std::function<Tensor(kernels::Interval rows, kernels::Interval keys)>;

  AttentionKind kind = AttentionKind::softmax;
  Tensor q;                                 // [Tq H D]
  Tensor k = {};                            // [Tk Hkv D]; undefined when they lie in a cache
  const Attention* how = nullptr;           // softmax and cached
  const LinearAttention* linear = nullptr;  // linear and linear_step
  std::int64_t keys = 0;   // columns of the weights; of a cache those of its longest hypothesis
  std::int64_t texts = 1;  // hypotheses of a cache or of a step
  std::string path = {};   // of the module
  Weights weights_of = {};

  /// The weights of a block [H R C] in f32, zeros where nothing is seen; computed when asked for.
  Tensor weights(kernels::Interval rows, kernels::Interval columns) const;
  Tensor weights() const { return weights({0, q.dim(0)}, {0, keys}); }
};

/// Looks at the calls of this thread while it lives; the innermost looks alone, and one without a
/// function hides what goes on from those outside. It never changes a result.
class AttentionObserver {
 public:
  using Look = std::function<void(const AttentionCall& call)>;
  explicit AttentionObserver(Look look);
  ~AttentionObserver();
  AttentionObserver(const AttentionObserver&) = delete;
  AttentionObserver& operator=(const AttentionObserver&) = delete;
  bool watches() const { return look_ != nullptr; }

 private:
  friend void tell_observer(AttentionCall call);
  Look look_;
  AttentionObserver* outer_;
};

/// Whether somebody looks; then tell_observer() follows, with everything but the path.
bool attention_observed();
void tell_observer(AttentionCall call);

/// What runs while it lives belongs to the module `name` (with an index: `name.index`) of the
/// module around it. The name must outlive it.
class ModuleScope {
 public:
  explicit ModuleScope(const char* name, std::int64_t index = -1);
  ~ModuleScope();
  ModuleScope(const ModuleScope&) = delete;
  ModuleScope& operator=(const ModuleScope&) = delete;

 private:
  friend std::string module_path();
  const char* name_;
  std::int64_t index_;
  const ModuleScope* outer_;
};
/// "decoder.layers.2.cross"; empty outside of all modules.
std::string module_path();

/// All weights of one module.
struct SeenAttention {
  std::string path;
  Tensor weights;  // [H R C]
};
/// Runs `forward`, not recorded, and gives what each module attended to, in the order of their
/// first calls. Several calls of a module are steps of one text: their rows stand below each other,
/// zeros where a key did not exist yet. Throws when a cache holds more than one hypothesis.
std::vector<SeenAttention> attention_seen(const std::function<void()>& forward);

}  // namespace qkv
