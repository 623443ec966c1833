// Reverse-mode differentiation. An operation computes its value and, while a tape records and one
// of its inputs needs a gradient, leaves a closure that turns the gradient of its output into
// gradients of its inputs. `backward` runs the closures in reverse order and frees what they held
// as it goes.
//
//   Tensor w = parameter(Tensor::zeros({3, 2}));
//   Tape tape;
//   { Recording on(tape); loss = f(w); }
//   tape.backward(loss);            // gradient_of(w) now holds dloss/dw
//
// One tape is used by one thread; the kernels inside an operation are parallel. Parameters may be
// shared: without a tape nothing of them is written but transposed_parameter()'s copy, under a
// lock.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "qkv/base/random.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

/// The record behind Tensor::tape_node().
struct Node {
  Tensor gradient;       // undefined until the first contribution
  bool present = false;  // whether `gradient` holds a contribution (a parameter keeps its buffer)
  bool leaf = false;     // a parameter: its gradient outlives backward
  bool frozen = false;   // a parameter whose gradient nobody wants: to operations a constant
  // A parameter's transposed copy, see transposed_parameter(). Models in use are shared by threads,
  // and the first that wants the copy makes it for all.
  std::mutex transposing;
  Tensor transposed;
  bool transposed_current = false;
};

/// Marks a tensor as a parameter (a leaf that collects a gradient) and returns it.
Tensor parameter(Tensor value);
bool is_parameter(const Tensor& tensor);
/// A frozen parameter is a constant to whatever is recorded from now on: no gradient is computed
/// for it, and what depends on frozen parameters alone leaves nothing on the tape.
void set_frozen(const Tensor& parameter, bool frozen);
bool is_frozen(const Tensor& tensor);
/// The gradient that backward left for a parameter; undefined when nothing reached it.
Tensor gradient_of(const Tensor& parameter);
/// Forgets the gradient but keeps its memory.
void clear_gradient(const Tensor& parameter);
/// To be called after a parameter's numbers changed: drops derived copies.
void parameter_changed(const Tensor& parameter);
/// wᵀ of w [I O]. For a parameter the copy is made once and kept until parameter_changed(); any
/// number of threads may ask at once.
Tensor transposed_parameter(const Tensor& weight);

class Tape {
 public:
  Tape() = default;
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  /// From a scalar loss (count 1, gradient 1) or any output with its gradient. Empties the tape.
  void backward(const Tensor& output, const Tensor& gradient = {});
  std::size_t size() const { return steps_.size(); }
  void clear() { steps_.clear(); }

 private:
  friend void record(std::span<Tensor* const>, std::span<const Tensor* const>,
                     std::function<void(std::span<const Tensor>)>);
  friend class Recording;
  struct Step {
    std::vector<std::shared_ptr<Node>> outputs;
    std::function<void(std::span<const Tensor>)> backward;
  };
  std::vector<Step> steps_;
};

/// Operations on this thread are recorded on `tape` while the object lives. Training noise
/// (dropout) is on only then; its numbers are a function of `noise_key` and of the order of the
/// calls.
class Recording {
 public:
  explicit Recording(Tape& tape, std::uint64_t noise_key = 0);
  ~Recording();
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

 private:
  Tape* outer_tape_;
  std::uint64_t outer_key_;
  std::uint64_t outer_count_;
};

/// Stops recording on this thread while the object lives.
class NoRecording {
 public:
  NoRecording();
  ~NoRecording();
  NoRecording(const NoRecording&) = delete;
  NoRecording& operator=(const NoRecording&) = delete;

 private:
  Tape* outer_tape_;
};

bool recording();
/// The dropout of the next noisy operation: inactive unless recording and probability > 0.
Dropout draw_dropout(double probability);

/// Runs definitions instead of fast forms on this thread while the object lives.
class DefinitionOnly {
 public:
  DefinitionOnly();
  ~DefinitionOnly();
  DefinitionOnly(const DefinitionOnly&) = delete;
  DefinitionOnly& operator=(const DefinitionOnly&) = delete;

 private:
  bool outer_;
};
bool definition_only();

// --- for operations
// ---------------------------------------------------------------------------------

/// Whether this call must be recorded because of `input`.
bool needs_gradient(const Tensor& input);

/// Leaves `backward` on the current tape if any input needs a gradient; the outputs then get nodes.
/// Its argument are the outputs' gradients, undefined where none arrived (never all of them).
void record(std::span<Tensor* const> outputs, std::span<const Tensor* const> inputs,
            std::function<void(std::span<const Tensor>)> backward);
inline void record(std::initializer_list<Tensor*> outputs,
                   std::initializer_list<const Tensor*> inputs,
                   std::function<void(std::span<const Tensor>)> backward) {
  record(std::span(outputs.begin(), outputs.size()), std::span(inputs.begin(), inputs.size()),
         std::move(backward));
}
/// The same for one output.
void record(Tensor& output, std::initializer_list<const Tensor*> inputs,
            std::function<void(const Tensor&)> backward);

/// Adds a contribution that nobody else holds; it may become the gradient itself.
void accumulate(const Tensor& input, Tensor&& contribution);
/// Adds a contribution that others may hold (such as the incoming gradient itself).
void accumulate_shared(const Tensor& input, const Tensor& contribution);

/// For kernels that can add to memory: the gradient's buffer, and whether it already holds
/// something (then add to it) or is fresh (then overwrite it).
struct GradientBuffer {
  Tensor tensor;
  bool add;
};
GradientBuffer gradient_buffer(const Tensor& input);
/// A buffer to add to: zero-filled when fresh.
Tensor gradient_sum(const Tensor& input);

}  // namespace qkv
