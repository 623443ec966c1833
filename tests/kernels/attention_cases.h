// Plans and random inputs for the tests of the attention kernels.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "qkv/base/random.h"
#include "qkv/kernels/attention/attend.h"

namespace qkv::testing {

/// sees(i, j, nq, nk): whether row i of a sequence with nq rows sees key j of its nk keys.
using Sees = std::function<bool(std::int64_t, std::int64_t, std::int64_t, std::int64_t)>;

inline bool sees_all(std::int64_t, std::int64_t, std::int64_t, std::int64_t) { return true; }
inline bool sees_causal(std::int64_t i, std::int64_t j, std::int64_t nq, std::int64_t nk) {
  return j <= i + nk - nq;
}
inline bool sees_window_and_prefix(std::int64_t i, std::int64_t j, std::int64_t, std::int64_t) {
  return j < 5 || (j > i - 20 && j <= i + 2);
}
inline bool sees_odd(std::int64_t i, std::int64_t j, std::int64_t, std::int64_t) {
  return (i + j) % 2 == 1 && i % 5 != 3;  // 32 intervals a tile, and rows that see nothing
}

struct Lengths {
  std::int64_t queries, keys;
};

inline kernels::AttendPlan make_plan(const std::vector<Lengths>& sequences, const Sees& sees) {
  kernels::AttendPlan plan;
  plan.row_offsets.push_back(0);
  for (const Lengths& n : sequences) {
    const std::int64_t k0 = plan.keys;
    for (std::int64_t i = 0; i < n.queries; ++i) {
      bool open = false;
      for (std::int64_t j = 0; j < n.keys; ++j) {
        const bool seen = sees(i, j, n.queries, n.keys);
        if (seen && !open) plan.intervals.push_back({k0 + j, k0 + j});
        if (seen) plan.intervals.back().end = k0 + j + 1;
        open = seen;
      }
      plan.row_offsets.push_back(static_cast<std::int64_t>(plan.intervals.size()));
    }
    plan.segments.push_back({plan.queries, plan.queries + n.queries, k0, k0 + n.keys});
    plan.queries += n.queries;
    plan.keys += n.keys;
  }
  return plan;
}

struct Heads {
  std::int64_t heads = 1, kv_heads = 1, dim = 1, value_dim = 1;
};

/// Everything a forward and a backward call read and write.
template <class T>
struct Problem {
  const kernels::AttendPlan* plan;
  Heads n;
  double scale;
  Dropout dropout;
  std::vector<T> q, k, v, dout, dlse;
  std::vector<T> out, lse, dq, dk, dv;

  Problem(const kernels::AttendPlan& p, Heads h, std::uint64_t seed, double size = 1.0)
      : plan(&p), n(h), scale(1.0 / std::sqrt(static_cast<double>(h.dim))) {
    Philox random(seed);
    const auto fill = [&](std::vector<T>& x, std::int64_t count, double factor) {
      x.resize(static_cast<std::size_t>(count));
      for (T& value : x) value = static_cast<T>(static_cast<float>(factor * random.normal()));
    };
    fill(q, p.queries * h.heads * h.dim, size);
    fill(k, p.keys * h.kv_heads * h.dim, size);
    fill(v, p.keys * h.kv_heads * h.value_dim, 1.0);
    fill(dout, p.queries * h.heads * h.value_dim, 1.0);
    fill(dlse, p.queries * h.heads, 1.0);
    poison();
  }

  /// The results hold NaN until they are written.
  void poison() {
    const T nan = std::numeric_limits<T>::signaling_NaN();
    out.assign(dout.size(), nan);
    lse.assign(dlse.size(), nan);
    dq.assign(q.size(), nan);
    dk.assign(k.size(), nan);
    dv.assign(v.size(), nan);
  }

  kernels::Attend<T> forward() {
    return {plan,     n.heads,  n.kv_heads, n.dim,   n.value_dim, q.data(),
            k.data(), v.data(), scale,      dropout, out.data(),  lse.data()};
  }
  kernels::AttendBackward<T> backward(bool with_dlse) {
    return {plan,        n.heads,
            n.kv_heads,  n.dim,
            n.value_dim, q.data(),
            k.data(),    v.data(),
            scale,       dropout,
            out.data(),  lse.data(),
            dout.data(), with_dlse ? dlse.data() : nullptr,
            dq.data(),   dk.data(),
            dv.data()};
  }
  void run(bool with_dlse = false) {
    poison();
    kernels::attend(forward());
    kernels::attend_backward(backward(with_dlse));
  }
  void run_definition(bool with_dlse = false) {
    poison();
    kernels::definition::attend(forward());
    kernels::definition::attend_backward(backward(with_dlse));
  }
};

}  // namespace qkv::testing
