// The ready-made masks that hold data: documents, graphs, patterns. Rows of data are turned into
// intervals once, when the mask is made.
#include <limits>
#include <map>
#include <memory>
#include <utility>

#include "qkv/attention/mask_rules.h"
#include "qkv/base/error.h"

namespace qkv {

using mask_rules::append;
using mask_rules::append_between;
using mask_rules::list;

namespace {

/// Adds one key behind those that are there.
void add_key(Intervals& keys, std::int64_t key) {
  if (!keys.empty() && keys.back().end == key) {
    ++keys.back().end;
  } else {
    keys.push_back({key, key + 1});
  }
}

/// A row of flags as intervals, a row of the pattern each.
std::vector<Intervals> rows_of(const char* name, const Pattern& p) {
  const auto flags = static_cast<std::int64_t>(p.visible.size());
  // Divided, since the product of two sides from outside may not be a number.
  if (p.rows < 0 || p.keys < 0 ||
      (p.keys == 0 ? flags != 0 : flags % p.keys != 0 || flags / p.keys != p.rows)) {
    fail<ShapeError>("{}: {} flags for a pattern [{} {}]", name, p.visible.size(), p.rows, p.keys);
  }
  std::vector<Intervals> rows(static_cast<std::size_t>(p.rows));
  for (std::int64_t i = 0; i < p.rows; ++i) {
    for (std::int64_t j = 0; j < p.keys; ++j) {
      if (p.visible[static_cast<std::size_t>(i * p.keys + j)]) {
        add_key(rows[static_cast<std::size_t>(i)], j);
      }
    }
  }
  return rows;
}

/// "110/011", or "[64 64]" when large, which a parser will not take.
std::string flags(const Pattern& p) {
  if (p.visible.empty() || p.visible.size() > 1024) return fmt::format("[{} {}]", p.rows, p.keys);
  std::string text;
  for (std::size_t n = 0; n < p.visible.size(); ++n) {
    if (n > 0 && n % static_cast<std::size_t>(p.keys) == 0) text += '/';
    text += p.visible[n] ? '1' : '0';
  }
  return text;
}

/// Rows of sorted keys; `name` is what to_string prints.
Mask graph_of(std::string name, std::vector<std::vector<std::int64_t>> neighbours, bool all_rows) {
  std::int64_t furthest = -1;
  std::vector<Intervals> rows(neighbours.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::vector<std::int64_t>& keys = neighbours[i];
    std::sort(keys.begin(), keys.end());
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    if (keys.empty()) continue;
    if (keys.front() < 0) fail<ShapeError>("graph: row {} has neighbour {}", i, keys.front());
    furthest = std::max(furthest, keys.back());
    for (const std::int64_t key : keys) {
      // The largest number has none behind it; as `furthest` it lies outside of any keys.
      if (key < std::numeric_limits<std::int64_t>::max()) add_key(rows[i], key);
    }
  }
  return Mask::of_lists(std::move(name), [rows = std::move(rows), furthest, all_rows](
                                             const MaskRow& row, Intervals& out) {
    const auto known = static_cast<std::int64_t>(rows.size());
    if (known > row.all_queries || (all_rows && known != row.all_queries)) {
      fail<ShapeError>("graph: {} rows have neighbours, but there are {} query rows", known,
                       row.all_queries);
    }
    if (furthest >= row.all_keys) {
      fail<ShapeError>("graph: neighbour {} of {} keys", furthest, row.all_keys);
    }
    if (row.query >= known) return;
    const Intervals& own = rows[static_cast<std::size_t>(row.query)];
    out.insert(out.end(), own.begin(), own.end());
  });
}

}  // namespace

Mask documents(std::vector<std::int64_t> of_rows, std::vector<std::int64_t> of_keys) {
  std::map<std::int64_t, Intervals> places;
  for (std::size_t j = 0; j < of_keys.size(); ++j) {
    add_key(places[of_keys[j]], static_cast<std::int64_t>(j));
  }
  const std::string name = of_rows == of_keys
                               ? fmt::format("documents({})", list(of_rows))
                               : fmt::format("documents({}, {})", list(of_rows), list(of_keys));
  const auto keys = static_cast<std::int64_t>(of_keys.size());
  return Mask::of(name, [of_rows = std::move(of_rows), places = std::move(places), keys](
                            const MaskRow& row, Intervals& out) {
    if (static_cast<std::int64_t>(of_rows.size()) != row.all_queries || keys != row.all_keys) {
      fail<ShapeError>("documents: ids of {} query rows and {} keys, but there are {} and {}",
                       of_rows.size(), keys, row.all_queries, row.all_keys);
    }
    const auto found = places.find(of_rows[static_cast<std::size_t>(row.query)]);
    if (found == places.end()) return;
    append_between(found->second, row.k_begin, row.k_begin + row.keys, 0, out);
  });
}

Mask graph(const std::vector<std::vector<std::int64_t>>& neighbours) {
  std::size_t edges = 0;
  std::string lists;
  for (const auto& keys : neighbours) {
    edges += keys.size();
    if (edges <= 256) lists += (lists.empty() ? "" : ", ") + list(keys);
  }
  if (edges > 256 || neighbours.size() > 64) {
    lists = fmt::format("{} rows, {} edges", neighbours.size(), edges);
  }
  return graph_of("graph(" + lists + ")", neighbours, true);
}

Mask graph(std::span<const Edge> edges) {
  std::vector<std::vector<std::int64_t>> neighbours;
  for (const Edge& e : edges) {
    if (e.query < 0) fail<ShapeError>("graph: an edge from row {}", e.query);
    const auto row = static_cast<std::size_t>(e.query);
    if (row >= neighbours.size()) neighbours.resize(row + 1);
    neighbours[row].push_back(e.key);
  }
  return graph_of(fmt::format("graph({} edges)", edges.size()), std::move(neighbours), false);
}

Mask block_sparse(std::int64_t block, Pattern pattern) {
  if (block < 1) fail<ShapeError>("block_sparse: blocks of {}", block);
  auto rows = rows_of("block_sparse", pattern);
  auto name = fmt::format("block_sparse({}, {})", block, flags(pattern));
  const std::int64_t high = pattern.rows, wide = pattern.keys;
  return Mask::of(std::move(name), [=, rows = std::move(rows)](const MaskRow& row, Intervals& out) {
    const std::int64_t at = row.position / block;
    const std::int64_t blocks = row.keys > 0 ? (row.keys - 1) / block + 1 : 0;
    if (at >= high || blocks > wide) {
      fail<ShapeError>("block_sparse: {} × {} blocks of {} do not cover {} rows and {} keys", high,
                       wide, block, row.queries, row.keys);
    }
    for (const Interval& x : rows[static_cast<std::size_t>(at)]) {
      if (x.begin >= blocks) break;  // so that no product goes beyond the keys
      append(row, x.begin * block, x.end < blocks ? x.end * block : row.keys, out);
    }
  });
}

Mask dense(Pattern pattern, Numbering numbering) {
  auto rows = rows_of("dense", pattern);
  const bool packed = numbering == Numbering::packed;
  auto name = fmt::format("dense({}{})", flags(pattern), packed ? ", packed" : "");
  const std::int64_t high = pattern.rows, wide = pattern.keys;
  return Mask::of(std::move(name), [=, rows = std::move(rows)](const MaskRow& row, Intervals& out) {
    const std::int64_t begin = packed ? 0 : row.k_begin;
    const std::int64_t keys = packed ? row.all_keys : row.keys;
    const std::int64_t queries = packed ? row.all_queries : row.queries;
    if ((high != 1 && high < queries) || (wide != 1 && wide < keys)) {
      fail<ShapeError>("dense: a pattern [{} {}] does not cover {} rows and {} keys", high, wide,
                       queries, keys);
    }
    const std::int64_t at = high == 1 ? 0 : packed ? row.query : row.position;
    const Intervals& own = rows[static_cast<std::size_t>(at)];
    if (wide == 1) {
      if (!own.empty() && keys > 0) out.push_back({begin, begin + keys});
    } else {
      append_between(own, 0, keys, begin, out);
    }
  });
}

}  // namespace qkv
