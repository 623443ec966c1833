// Random mask expressions against the sets of pairs they stand for.
#include <functional>
#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "qkv/attention/parse_mask.h"
#include "qkv/base/error.h"

namespace qkv {
namespace {

const Segments kQueries{3, 0, 5, 1}, kKeys{4, 2, 5, 0};
constexpr std::int64_t kTq = 9, kTk = 11;
const Mask kBase = segments(kQueries, kKeys);

/// A pair as a person would think of it: absolute and within the row's sequence.
struct Pair {
  std::int64_t query, key, position, place, seen;  // seen: the key in the row's sequence
  bool own;                                        // whether it is of the row's sequence
};
using Sees = std::function<bool(const Pair&)>;
struct Case {
  Mask mask;
  Sees sees;
};

std::vector<bool> pairs_of(const Sees& sees) {
  std::vector<bool> all;
  for (std::int64_t b = 0; b < kQueries.count(); ++b) {
    for (std::int64_t i = 0; i < kQueries.length(b); ++i) {
      for (std::int64_t j = 0; j < kTk; ++j) {
        all.push_back(sees({kQueries.begin(b) + i, j, i, i + kKeys.length(b) - kQueries.length(b),
                            j - kKeys.begin(b), j >= kKeys.begin(b) && j < kKeys.end(b)}));
      }
    }
  }
  return all;
}
/// The sequences must be known on both sides of a law.
Mask known(const Mask& mask) { return mask & (kBase | ~kBase); }
std::vector<bool> pairs_of(const Mask& mask) {
  const auto dense = materialise(known(mask), kTq, kTk);
  return {dense.begin(), dense.end()};
}
Intervals intervals(const Mask& mask) { return compile(known(mask), kTq, kTk)->intervals; }

Case leaf() {
  const auto small = [] { return *rc::gen::inRange<std::int64_t>(-2, 6); };
  const auto bits = [](std::size_t n) {
    return *rc::gen::container<std::vector<std::uint8_t>>(n, rc::gen::inRange<std::uint8_t>(0, 2));
  };
  const auto ids = [](std::size_t n) {
    return *rc::gen::container<std::vector<std::int64_t>>(n, rc::gen::inRange<std::int64_t>(0, 3));
  };
  const auto at = [](std::int64_t n) { return static_cast<std::size_t>(n); };
  const bool top = *rc::gen::arbitrary<bool>();
  const Alignment corner = top ? Alignment::top_left : Alignment::bottom_right;
  const auto place = [top](const Pair& p) { return top ? p.position : p.place; };
  switch (*rc::gen::inRange(0, 11)) {
    case 0:
      return {everything(), [](const Pair&) { return true; }};
    case 1:
      return {kBase, [](const Pair& p) { return p.own; }};
    case 2:
      return {causal(corner), [=](const Pair& p) { return p.own && p.seen <= place(p); }};
    case 3: {
      const std::int64_t left = small(), right = small();
      return {window(left, right, corner), [=](const Pair& p) {
                return p.own && p.seen >= place(p) - left && p.seen <= place(p) + right;
              }};
    }
    case 4: {
      const std::int64_t count = small();
      return {prefix(count), [=](const Pair& p) { return p.own && p.seen < count; }};
    }
    case 5: {
      const std::int64_t size = small(), step = *rc::gen::inRange<std::int64_t>(1, 4);
      return {dilated(size, step, corner), [=](const Pair& p) {
                const std::int64_t away = std::abs(p.seen - place(p));
                return p.own && away % step == 0 && away / step < size;
              }};
    }
    case 6: {
      const auto q = ids(kTq), k = ids(kTk);
      return {documents(q, k),
              [=](const Pair& p) { return p.own && q[at(p.query)] == k[at(p.key)]; }};
    }
    case 7: {
      const auto edge = bits(kTq * kTk);
      std::vector<std::vector<std::int64_t>> lists(kTq);
      for (std::int64_t i = 0; i < kTq; ++i) {
        for (std::int64_t j = kTk; j-- > 0;) {
          if (edge[at(i * kTk + j)]) lists[at(i)].push_back(j);
        }
      }
      return {graph(lists), [=](const Pair& p) { return edge[at(p.query * kTk + p.key)] != 0; }};
    }
    case 8: {
      const auto block = bits(9);
      return {block_sparse(2, {3, 3, block}), [=](const Pair& p) {
                return p.own && block[at(p.position / 2 * 3 + p.seen / 2)] != 0;
              }};
    }
    case 9: {
      const auto flag = bits(25);
      return {dense({5, 5, flag}),
              [=](const Pair& p) { return p.own && flag[at(p.position * 5 + p.seen)] != 0; }};
    }
    default: {
      const auto flag = bits(kTk);
      return {dense({1, kTk, flag}, Numbering::packed),
              [=](const Pair& p) { return flag[at(p.key)] != 0; }};
    }
  }
}

Case expression(int depth) {
  const int kind = depth == 0 ? 0 : *rc::gen::inRange(0, 4);
  if (kind == 0) return leaf();
  const Case a = expression(depth - 1);
  if (kind == 1) return {~a.mask, [=](const Pair& p) { return !a.sees(p); }};
  const Case b = expression(depth - 1);
  if (kind == 2) return {a.mask & b.mask, [=](const Pair& p) { return a.sees(p) && b.sees(p); }};
  return {a.mask | b.mask, [=](const Pair& p) { return a.sees(p) || b.sees(p); }};
}

RC_GTEST_PROP(MaskLaws, AnExpressionIsTheSetItStandsFor, ()) {
  const Case c = expression(4);
  RC_LOG() << to_string(c.mask) << '\n';
  RC_ASSERT(pairs_of(c.mask) == pairs_of(c.sees));
}

RC_GTEST_PROP(MaskLaws, RowsAreSortedDisjointAndDoNotTouch, ()) {
  const auto plan = compile(known(expression(4).mask), kTq, kTk);
  for (std::size_t i = 0; i < std::size_t{kTq}; ++i) {
    std::int64_t last = -1;
    for (auto x = plan->row_offsets[i]; x < plan->row_offsets[i + 1]; ++x) {
      const kernels::Interval seen = plan->intervals[static_cast<std::size_t>(x)];
      RC_ASSERT(seen.begin > last);
      RC_ASSERT(seen.begin < seen.end);
      last = seen.end;
    }
    RC_ASSERT(last <= kTk);
  }
}

RC_GTEST_PROP(MaskLaws, DeMorganIdempotenceComplement, ()) {
  const Mask a = expression(3).mask, b = expression(3).mask;
  RC_ASSERT(intervals(~(a & b)) == intervals(~a | ~b));
  RC_ASSERT(intervals(~(a | b)) == intervals(~a & ~b));
  RC_ASSERT(intervals(a & a) == intervals(a));
  RC_ASSERT(intervals(a | a) == intervals(a));
  RC_ASSERT(intervals(~~a) == intervals(a));
  RC_ASSERT(intervals(a & ~a).empty());
  RC_ASSERT(intervals(a | ~a) == intervals(everything()));
  RC_ASSERT(intervals(a | (a & b)) == intervals(a));
}

RC_GTEST_PROP(MaskLaws, TextComesBack, ()) {
  const Mask a = expression(4).mask;
  RC_ASSERT(to_string(parse_mask(to_string(a))) == to_string(a));
  RC_ASSERT(intervals(parse_mask(to_string(a))) == intervals(a));
}

RC_GTEST_PROP(MaskLaws, NoTextDoesHarm, ()) {
  static const std::vector<std::string> pieces = {"causal()",   "window(",
                                                  "dilated(2,", "dense(",
                                                  "10/01",      "segments(",
                                                  "graph(",     "[1, 2]",
                                                  "[",          "]",
                                                  "(",          ")",
                                                  ",",          "&",
                                                  "|",          "~",
                                                  "-9",         "prefix(",
                                                  "top_left",   "packed)",
                                                  " ",          "block_sparse(3,",
                                                  "x"};
  std::string text;
  for (const auto n : *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 23))) {
    text += pieces[static_cast<std::size_t>(n)];
  }
  try {
    const Mask mask = parse_mask(text);
    RC_ASSERT(to_string(parse_mask(to_string(mask))) == to_string(mask));
  } catch (const Error&) {
  }
}

}  // namespace
}  // namespace qkv
