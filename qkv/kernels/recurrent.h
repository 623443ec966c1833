// Recurrent cells over a packed batch, forward and back through time, without padding. Sequences
// are sorted by length, longest first, so that the rows still alive at a step stand together: a
// step is one product of those rows with the recurrent weights and one pass over their gates. The
// products of the inputs are made for all steps at once by the caller, and the gradient of the
// recurrent weights is one product over all steps. What a sequence computes does not depend on its
// neighbours or on the number of threads.
//
// Gates stand side by side in the order of PyTorch and cuDNN, x what the inputs contribute:
//   gru               r = σ(x_r + h·W_r + b_r)   z = σ(x_z + h·W_z + b_z)
//                     n = tanh(x_n + r ⊙ (h·W_n + b_n))    h' = (1 − z) ⊙ n + z ⊙ h
//   gru_reset_before  the same with n = tanh(x_n + (r ⊙ h)·W_n + b_n), as Cho et al. (2014) wrote
//                     it: another cell with the same parameters
//   lstm              i, f, o = σ(x + h·W + b)   g = tanh(x_g + h·W_g + b_g)   in the order i f g o
//                     c' = f ⊙ c + i ⊙ g         h' = o ⊙ tanh c'
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace qkv::kernels {

enum class Cell : std::uint8_t { gru, gru_reset_before, lstm };
constexpr std::array<std::string_view, 3> spelling(Cell) {
  return {"gru", "gru_reset_before", "lstm"};
}

/// G, how many gates stand side by side.
constexpr std::int64_t gates_of(Cell cell) { return cell == Cell::lstm ? 4 : 3; }

/// One step of n independent rows of width H.
template <class T>
struct CellForward {
  Cell cell;
  std::int64_t rows, width;
  const T* x;                            // [· G·H], bias of the inputs included
  const std::int64_t* x_rows = nullptr;  // row i of the step reads row x_rows[i] of x; null: row i
  const T* weight;                       // [H G·H]
  const T* bias;                         // [G·H], or null
  const T* h;                            // [n H], or null for zeros
  const T* c;                            // [n H] (lstm), or null for zeros
  T* gates;                              // [n G·H]: the gates after their activations
  T* inner;                              // [n H]: h·W_n + b_n | r ⊙ h | tanh c'
  T* next_h;                             // [n H]; may alias h
  T* next_c;                             // [n H] (lstm); may alias c
};

/// Its gradient. What `forward` kept is read and forward.gates overwritten: afterwards they hold
/// the gradient of h·W + bias (of r ⊙ h·W_n in a gru_reset_before), to be multiplied by the
/// transposed h (r ⊙ h) for the gradient of the weight.
template <class T>
struct CellBackward {
  CellForward<T> forward;
  const T* weight_t;  // [G·H H], the transposed weight
  T* dx;              // [· G·H]: rows x_rows are written
  T* dh;              // [n H]: the gradient of next_h; becomes that of h
  T* dc;              // [n H] (lstm): the gradient of next_c; becomes that of c
};

/// Which rows of a packed batch meet at which step.
struct RecurrentPlan {
  std::vector<std::int64_t> offsets;   // [B+1] of the batch
  bool reverse = false;                // from the last row of each sequence to the first
  std::vector<std::int64_t> sequence;  // [B]: place -> sequence, longest first
  std::vector<std::int64_t> first;     // step t is made of stepped rows [first[t], first[t+1])
  std::vector<std::int64_t> row;       // [T]: stepped row -> row of the batch; place i comes i-th

  std::int64_t sequences() const { return static_cast<std::int64_t>(sequence.size()); }
  std::int64_t rows() const { return static_cast<std::int64_t>(row.size()); }
  std::int64_t steps() const { return static_cast<std::int64_t>(first.size()) - 1; }
  std::int64_t begin(std::int64_t t) const { return first[static_cast<std::size_t>(t)]; }
  /// Sequences alive at step t; none after the last.
  std::int64_t alive(std::int64_t t) const { return t < steps() ? begin(t + 1) - begin(t) : 0; }
};
RecurrentPlan recurrent_plan(std::span<const std::int64_t> offsets, bool reverse);

template <class T>
struct RecurrentForward {
  Cell cell;
  const RecurrentPlan* plan;
  std::int64_t width;       // H
  const T* x;               // [T G·H]
  const T* weight;          // [H G·H]
  const T* bias;            // [G·H], or null
  const T* initial_h;       // [B H], or null for zeros
  const T* initial_c;       // [B H] (lstm), or null for zeros
  T* out;                   // [T H], rows out_stride apart
  std::int64_t out_stride;  // H, or 2·H where two directions stand side by side
  T* final_h;               // [B H]: after each sequence's last step; initial_h where it is empty
  T* final_c;               // [B H] (lstm)
  // What the backward pass reads, in the order of the steps; the definition leaves it alone.
  T *hidden, *cells, *gates, *inner;  // [T H], [T H] (lstm), [T G·H], [T H]
};

template <class T>
struct RecurrentBackward {
  RecurrentForward<T> forward;  // as it ran; the fast form overwrites gates and inner
  const T* weight_t;            // [G·H H]
  const T* dout;                // [T H], rows dout_stride apart; or null
  std::int64_t dout_stride;
  const T* dfinal_h;  // [B H], or null
  const T* dfinal_c;  // [B H] (lstm), or null
  T* dx;              // [T G·H]: written
  T* dweight;         // [H G·H]: added to; null when not wanted
  T* dbias;           // [G·H]: added to; null when not wanted
  T* dinitial_h;      // [B H]: written; null when not wanted
  T* dinitial_c;      // [B H] (lstm): written; null when not wanted
};

namespace definition {
template <class T>
void cell_forward(const CellForward<T>& a);
template <class T>
void cell_backward(const CellBackward<T>& a);
/// Sequence by sequence, step by step.
template <class T>
void recurrent_forward(const RecurrentForward<T>& a);
template <class T>
void recurrent_backward(const RecurrentBackward<T>& a);
}  // namespace definition

void cell_forward(const CellForward<float>& a);
void cell_backward(const CellBackward<float>& a);
void recurrent_forward(const RecurrentForward<float>& a);
void recurrent_backward(const RecurrentBackward<float>& a);

}  // namespace qkv::kernels
