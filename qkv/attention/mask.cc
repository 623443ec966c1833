#include "qkv/attention/mask.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "qkv/attention/mask_rules.h"
#include "qkv/base/error.h"

namespace qkv {

struct Mask::Node {
  enum class Kind : std::uint8_t { rule, segments, both, either, complement };

  Kind kind = Kind::rule;
  std::string name;
  Rule rule;
  std::optional<MaskBand> band;
  bool lists = false;
  Segments queries, keys;      // kind segments
  std::shared_ptr<Node> a, b;  // b only for both and either
  std::mutex guard;            // of the plan
  std::shared_ptr<const AttendPlan> plan;

  void evaluate(const MaskRow& row, Intervals& out) const;
  const Node* find_segments() const;
  /// Whether every row lists few keys: less than the least of what is cut, all of what is joined.
  bool by_lists() const {
    if (kind == Kind::both) return a->by_lists() || b->by_lists();
    if (kind == Kind::either) return a->by_lists() && b->by_lists();
    return lists;
  }
};

namespace {

/// Sorts, clips to [0, limit), drops empty intervals and joins those that touch.
void tidy(std::int64_t limit, Intervals& keys) {
  std::size_t kept = 0;
  for (const Interval& x : keys) {
    const Interval clipped{std::max<std::int64_t>(x.begin, 0), std::min(x.end, limit)};
    if (clipped.begin < clipped.end) keys[kept++] = clipped;
  }
  keys.resize(kept);
  if (kept < 2) return;
  std::sort(keys.begin(), keys.end(),
            [](const Interval& x, const Interval& y) { return x.begin < y.begin; });
  kept = 1;
  for (std::size_t i = 1; i < keys.size(); ++i) {
    Interval& last = keys[kept - 1];
    if (keys[i].begin <= last.end) {
      last.end = std::max(last.end, keys[i].end);
    } else {
      keys[kept++] = keys[i];
    }
  }
  keys.resize(kept);
}

void intersect(const Intervals& a, const Intervals& b, Intervals& out) {
  for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    const Interval x{std::max(a[i].begin, b[j].begin), std::min(a[i].end, b[j].end)};
    if (x.begin < x.end) out.push_back(x);
    if (a[i].end < b[j].end) {
      ++i;
    } else {
      ++j;
    }
  }
}

}  // namespace

void Mask::Node::evaluate(const MaskRow& row, Intervals& out) const {
  switch (kind) {
    case Kind::rule:
      rule(row, out);
      return tidy(row.all_keys, out);
    case Kind::segments:
      return mask_rules::append(row, 0, row.keys, out);
    case Kind::both: {
      Intervals x, y;
      a->evaluate(row, x);
      if (x.empty()) return;
      b->evaluate(row, y);
      return intersect(x, y, out);
    }
    case Kind::either: {
      Intervals more;
      a->evaluate(row, out);
      b->evaluate(row, more);
      out.insert(out.end(), more.begin(), more.end());
      return tidy(row.all_keys, out);
    }
    case Kind::complement: {
      Intervals x;
      a->evaluate(row, x);
      std::int64_t begin = 0;
      for (const Interval& seen : x) {
        if (begin < seen.begin) out.push_back({begin, seen.begin});
        begin = seen.end;
      }
      if (begin < row.all_keys) out.push_back({begin, row.all_keys});
      return;
    }
  }
}

const Mask::Node* Mask::Node::find_segments() const {
  if (kind == Kind::segments) return this;
  const Node* found = a ? a->find_segments() : nullptr;
  const Node* other = b ? b->find_segments() : nullptr;
  if (!found || !other) return found ? found : other;
  if (!std::ranges::equal(found->queries.offsets(), other->queries.offsets()) ||
      !std::ranges::equal(found->keys.offsets(), other->keys.offsets())) {
    fail<ShapeError>("mask: two different segmentations in one mask, {} and {}", found->name,
                     other->name);
  }
  return found;
}

Mask Mask::of(std::string name, Rule rule, std::optional<MaskBand> band) {
  auto node = std::make_shared<Node>();
  node->band = band;
  node->name = std::move(name);
  node->rule = std::move(rule);
  return Mask(std::move(node));
}

Mask Mask::of_lists(std::string name, Rule rule) {
  Mask mask = of(std::move(name), std::move(rule), {});
  mask.node_->lists = true;
  return mask;
}

Mask operator&(const Mask& a, const Mask& b) {
  auto node = std::make_shared<Mask::Node>();
  node->kind = Mask::Node::Kind::both;
  const auto part = [](const Mask& m) {
    return m.node_->kind == Mask::Node::Kind::either ? "(" + m.node_->name + ")" : m.node_->name;
  };
  node->name = part(a) + " & " + part(b);
  node->a = a.node_;
  node->b = b.node_;
  return Mask(std::move(node));
}

Mask operator|(const Mask& a, const Mask& b) {
  auto node = std::make_shared<Mask::Node>();
  node->kind = Mask::Node::Kind::either;
  node->name = a.node_->name + " | " + b.node_->name;
  node->a = a.node_;
  node->b = b.node_;
  return Mask(std::move(node));
}

Mask operator~(const Mask& a) {
  auto node = std::make_shared<Mask::Node>();
  node->kind = Mask::Node::Kind::complement;
  const bool compound =
      a.node_->kind == Mask::Node::Kind::both || a.node_->kind == Mask::Node::Kind::either;
  node->name = compound ? "~(" + a.node_->name + ")" : "~" + a.node_->name;
  node->a = a.node_;
  return Mask(std::move(node));
}

std::string to_string(const Mask& mask) { return mask.node_->name; }

std::optional<MaskBand> band_of(const Mask& mask) {
  const auto of = [](const auto& self, const Mask::Node& node) -> std::optional<MaskBand> {
    if (node.kind == Mask::Node::Kind::rule) return node.band;
    if (node.kind == Mask::Node::Kind::segments) {
      return MaskBand{.queries = &node.queries, .keys = &node.keys};
    }
    if (node.kind != Mask::Node::Kind::both) return std::nullopt;
    std::optional<MaskBand> a = self(self, *node.a);
    const std::optional<MaskBand> b = self(self, *node.b);
    if (!a || !b || (a->lengths && b->lengths)) return std::nullopt;
    a->left = std::min(a->left, b->left);
    a->right = std::min(a->right, b->right);
    if (!a->queries) {
      a->queries = b->queries;
      a->keys = b->keys;
    }
    if (!a->lengths) a->lengths = b->lengths;
    return a;
  };
  (void)mask.node_->find_segments();  // throws where two segmentations differ
  return of(of, *mask.node_);
}

namespace {

std::string segments_name(const Segments& queries, const Segments& keys) {
  const auto lengths = [](const Segments& s) {
    std::vector<std::int64_t> each;
    for (std::int64_t b = 0; b < s.count(); ++b) each.push_back(s.length(b));
    return mask_rules::list(each);
  };
  const std::string q = lengths(queries);
  if (std::ranges::equal(queries.offsets(), keys.offsets())) return "segments(" + q + ")";
  return "segments(" + q + ", " + lengths(keys) + ")";
}

}  // namespace

Mask segments(const Segments& queries, const Segments& keys) {
  if (queries.count() != keys.count()) {
    fail<ShapeError>("segments: {} sequences of queries but {} of keys", queries.count(),
                     keys.count());
  }
  auto node = std::make_shared<Mask::Node>();
  node->kind = Mask::Node::Kind::segments;
  node->name = segments_name(queries, keys);
  node->queries = queries;
  node->keys = keys;
  return Mask(std::move(node));
}

std::shared_ptr<const AttendPlan> compile(const Mask& mask, std::int64_t queries,
                                          std::int64_t keys) {
  const std::lock_guard lock(mask.node_->guard);
  auto& kept = mask.node_->plan;
  if (kept && kept->queries == queries && kept->keys == keys) return kept;

  const Mask::Node* found = mask.node_->find_segments();
  const Segments q = found ? found->queries : Segments::one(queries);
  const Segments k = found ? found->keys : Segments::one(keys);
  if (q.total() != queries || k.total() != keys) {
    fail<ShapeError>("mask: segments of {} query rows and {} keys, but q has {} rows and k {}",
                     q.total(), k.total(), queries, keys);
  }
  auto plan = std::make_shared<AttendPlan>();
  plan->queries = queries;
  plan->keys = keys;
  plan->lists = mask.node_->by_lists();
  plan->row_offsets.reserve(static_cast<std::size_t>(queries) + 1);
  plan->intervals.reserve(static_cast<std::size_t>(queries));
  plan->row_offsets.push_back(0);
  bool confined = true;
  Intervals seen;
  for (std::int64_t b = 0; b < q.count(); ++b) {
    MaskRow row{.segment = b,
                .queries = q.length(b),
                .k_begin = k.begin(b),
                .keys = k.length(b),
                .all_queries = queries,
                .all_keys = keys};
    for (; row.position < row.queries; ++row.position) {
      row.query = q.begin(b) + row.position;
      seen.clear();
      mask.node_->evaluate(row, seen);
      if (!seen.empty()) {
        confined &= seen.front().begin >= k.begin(b) && seen.back().end <= k.end(b);
      }
      plan->intervals.insert(plan->intervals.end(), seen.begin(), seen.end());
      plan->row_offsets.push_back(static_cast<std::int64_t>(plan->intervals.size()));
    }
  }
  if (confined) {
    plan->segments.reserve(static_cast<std::size_t>(q.count()));
    for (std::int64_t b = 0; b < q.count(); ++b) {
      plan->segments.push_back({q.begin(b), q.end(b), k.begin(b), k.end(b)});
    }
  } else {
    plan->segments.push_back({0, queries, 0, keys});
  }
  kept = std::move(plan);
  return kept;
}

std::vector<std::uint8_t> materialise(const Mask& mask, std::int64_t queries, std::int64_t keys) {
  const auto plan = compile(mask, queries, keys);
  std::vector<std::uint8_t> dense(static_cast<std::size_t>(queries * keys), 0);
  for (std::int64_t i = 0; i < queries; ++i) {
    const auto row = static_cast<std::size_t>(i);
    for (std::int64_t x = plan->row_offsets[row]; x < plan->row_offsets[row + 1]; ++x) {
      const Interval seen = plan->intervals[static_cast<std::size_t>(x)];
      std::fill(dense.begin() + i * keys + seen.begin, dense.begin() + i * keys + seen.end,
                std::uint8_t{1});
    }
  }
  return dense;
}

}  // namespace qkv
