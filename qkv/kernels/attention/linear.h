// Linear attention ("Transformers are RNNs", Katharopoulos et al. 2020): the weight of key j for
// query i is φ(q_i)·φ(k_j), so keys and values can be summed before any query is known.
//   n_i = Σ_j (φ(q_i)·φ(k_j)) v_j,  z_i = Σ_j φ(q_i)·φ(k_j) + eps,  out_i = n_i / z_i
// over the keys j that row i sees; no 1/√D. A row that sees nothing, or whose |z| is not a normal
// number (0 above all), gives zeros and passes no gradient. Layout: q [Tq H D], k [Tk Hkv D], v [Tk
// Hkv Dv], out [Tq H Dv]; query head h reads key head h / (H / Hkv).
//
// The fast forms take O(D·Dv) a token. Causal: chunks of 64 positions, counted from the start of
// each sequence, look at each other through the sum Σ φ(k)·[v 1]ᵀ of all earlier chunks and inside
// a chunk through its weights; so does a sequence of one chunk that has fewer weights than its sums
// have products. Sums are formed chunk by chunk in groups of 8 and group by group: a
// tree that depends on positions alone, so a row's bits know neither threads nor neighbours nor how
// long its sequence goes on. Beside the gradients, backward holds one sum a group (8 floats a token
// at D = Dv = 64) where one sequence is spread over threads, and two sums otherwise.
#pragma once

#include <cstdint>
#include <span>

namespace qkv::kernels {

/// φ: the features of queries and keys. elu(x) + 1 is x + 1 above 0 and e^x below.
enum class LinearMap : std::uint8_t { identity, elu_plus_one, relu };

/// One sequence. Keys behind the first `seen` are hidden from every row; a causal row i sees keys
/// up to i + keys − queries (bottom right).
struct LinearSegment {
  std::int64_t q_begin, q_end, k_begin, k_end, seen;
};

template <class T>
struct LinearInputs {
  std::span<const LinearSegment> segments;       // together they hold every row and every key
  std::int64_t heads, kv_heads, dim, value_dim;  // H, Hkv, D, Dv
  LinearMap map;
  bool causal;
  double eps;
  const T* q;
  const T* k;
  const T* v;
};

template <class T>
struct LinearAttend {
  LinearInputs<T> in;
  T* out;
  T* inverse;  // [Tq H]: 1 / z, 0 for a row that gives zeros
};

template <class T>
struct LinearAttendBackward {
  LinearInputs<T> in;
  const T* out;
  const T* inverse;
  const T* dout;
  T* dq;  // written
  T* dk;  // written
  T* dv;  // written
};

/// The sums of whole sequences, B of them: what a decoder goes on from. Reads no queries.
template <class T>
struct LinearSums {
  LinearInputs<T> in;
  T* s;  // [B Hkv D Dv]: Σ φ(k) vᵀ
  T* z;  // [B Hkv D]: Σ φ(k)
};

/// One token of each hypothesis: adds φ(k) vᵀ and φ(k) to its sums, then reads them with φ(q).
template <class T>
struct LinearStep {
  std::int64_t rows, heads, kv_heads, dim, value_dim;
  LinearMap map;
  double eps;
  const T* q;  // [rows H D]
  const T* k;  // [rows Hkv D], or null: read only
  const T* v;  // [rows Hkv Dv]
  T* s;        // [rows Hkv D Dv]; changed in place unless k is null
  T* z;        // [rows Hkv D]
  T* out;      // [rows H Dv]
};

namespace definition {
template <class T>
void linear_attend(const LinearAttend<T>& a);
template <class T>
void linear_attend_backward(const LinearAttendBackward<T>& a);
template <class T>
void linear_sums(const LinearSums<T>& a);
template <class T>
void linear_step(const LinearStep<T>& a);
}  // namespace definition

void linear_attend(const LinearAttend<float>& a);
void linear_attend_backward(const LinearAttendBackward<float>& a);
void linear_sums(const LinearSums<float>& a);
void linear_step(const LinearStep<float>& a);

}  // namespace qkv::kernels
