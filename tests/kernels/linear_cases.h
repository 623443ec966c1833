// Random problems for the tests of linear attention.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "kernels/fixtures.h"

#include "qkv/kernels/attention/linear.h"

namespace qkv::kernels {

struct LinearLengths {
  std::int64_t queries, keys;
  std::int64_t seen = -1;  // all keys
};

struct LinearForm {
  std::int64_t heads = 1, kv_heads = 1, dim = 1, value_dim = 1;
  LinearMap map = LinearMap::elu_plus_one;
  bool causal = false;
  double eps = 0.0;
};

template <class T>
std::vector<T> numbers(std::int64_t n, std::uint64_t key) {
  const std::vector<double> x = normals(n, key);
  return {x.begin(), x.end()};
}

/// Everything a forward and a backward call read and write; results hold NaN until written.
template <class T>
struct LinearProblem {
  LinearForm form;
  std::vector<LinearSegment> segments;
  std::vector<T> q, k, v, dout, out, inverse, dq, dk, dv;

  LinearProblem(const std::vector<LinearLengths>& lengths, const LinearForm& f,
                std::uint64_t seed = 1)
      : form(f) {
    std::int64_t tq = 0, tk = 0;
    for (const LinearLengths& n : lengths) {
      segments.push_back({tq, tq + n.queries, tk, tk + n.keys, n.seen < 0 ? n.keys : n.seen});
      tq += n.queries;
      tk += n.keys;
    }
    q = numbers<T>(tq * f.heads * f.dim, seed);
    k = numbers<T>(tk * f.kv_heads * f.dim, seed + 1);
    v = numbers<T>(tk * f.kv_heads * f.value_dim, seed + 2);
    dout = numbers<T>(tq * f.heads * f.value_dim, seed + 3);
  }
  LinearInputs<T> inputs() const {
    return {segments,    form.heads, form.kv_heads, form.dim, form.value_dim, form.map,
            form.causal, form.eps,   q.data(),      k.data(), v.data()};
  }
  void poison() {
    const T nan = std::numeric_limits<T>::signaling_NaN();
    out.assign(dout.size(), nan);
    inverse.assign(q.size() / static_cast<std::size_t>(form.dim), nan);
    dq.assign(q.size(), nan);
    dk.assign(k.size(), nan);
    dv.assign(v.size(), nan);
  }
  LinearAttend<T> forward() { return {inputs(), out.data(), inverse.data()}; }
  LinearAttendBackward<T> backward() {
    return {inputs(), out.data(), inverse.data(), dout.data(), dq.data(), dk.data(), dv.data()};
  }
  void run() {
    poison();
    linear_attend(forward());
    linear_attend_backward(backward());
  }
  void run_definition() {
    poison();
    definition::linear_attend(forward());
    definition::linear_attend_backward(backward());
  }
};

}  // namespace qkv::kernels
