// PyTorch's names and layout for the weights of modules and scores, so that what a PyTorch program
// has trained can be read and what is trained here be given back:
//
//   load_state_dict(recurrent, state);        // the state of an nn.GRU or nn.LSTM
//   const StateDict back = state_dict(recurrent);
//
// A program's own model joins lists, each under the prefix of its member there:
//
//   StateEntries entries;
//   list_state(encoder, "encoder.rnn.", entries);
//   list_state(score, "attention.", entries);
//   write_state(entries, state);              // strict, see qkv/nn/state_dict.h
//
// The numbers are shared with the module, which must be what it is to be before it is listed. Other
// names there: rename the pairs of the StateDict.
#pragma once

#include <string>

#include "qkv/attention/score.h"
#include "qkv/nn/linear.h"
#include "qkv/nn/recurrent.h"
#include "qkv/nn/self_attention.h"
#include "qkv/nn/state_dict.h"

namespace qkv {

/// nn.Linear and nn.LayerNorm: "weight", and "bias" where there is one.
void list_state(const Linear& module, const std::string& prefix, StateEntries& entries);
void list_state(const LayerNorm& module, const std::string& prefix, StateEntries& entries);

/// nn.GRU and nn.LSTM: "weight_ih_l0" [G·H I], "weight_hh_l0" [G·H H], "bias_ih_l0" [G·H] and
/// "bias_hh_l0" [G·H], the same with "_reverse" where there are two directions, then "…_l1". Gates
/// in PyTorch's order, r z n and i f g o, which is the order here. Throws for
/// Cell::gru_reset_before: PyTorch has no such cell, and its GRU would compute something else from
/// the same numbers.
void list_state(const Recurrent& module, const std::string& prefix, StateEntries& entries);

/// Copies of the weights, in PyTorch's order.
StateDict state_dict(const Recurrent& module);
/// Strict: throws when a name is missing, unknown (bias=False there and not here, proj_size) or
/// there twice, or a shape does not fit; then nothing has changed.
void load_state_dict(Recurrent& module, const StateDict& state);

/// What the parts of an additive score are called.
struct AdditiveNames {
  std::string key = "W_k.weight";     // nn.Linear(Dk, A, bias=False): [A Dk]
  std::string query = "W_q.weight";   // nn.Linear(Dq, A, bias=False): [A Dq]
  std::string weight = "w_v.weight";  // nn.Linear(A, 1, bias=False): [1 A]
};
/// w_v(tanh(W_q(q) + W_k(k))). A weight or matrix for each head, which no layer of PyTorch has, is
/// taken to be a parameter of the shape that it has here: [H A], [H Dq A].
void list_state(const Additive& score, const std::string& prefix, StateEntries& entries,
                const AdditiveNames& names = {});

struct ConcatNames {
  std::string matrix = "W.weight";  // nn.Linear(Dq + Dk, A, bias=False): [A Dq+Dk], the query first
  std::string weight = "v.weight";  // nn.Linear(A, 1, bias=False): [1 A]
};
/// v(tanh(W(cat(q, k)))), likewise.
void list_state(const Concat& score, const std::string& prefix, StateEntries& entries,
                const ConcatNames& names = {});

/// q · W(k) with W = nn.Linear(Dk, Dq, bias=False), its weight [Dq Dk] being the matrix of q W k as
/// it is here. A layer on the queries, W(q) · k, has it transposed: {name, {score.weight}} as an
/// entry of one's own.
void list_state(const General& score, const std::string& prefix, StateEntries& entries,
                const std::string& name = "W.weight");

/// Each product an nn.Linear without bias, "q.weight", "first_q.weight", "o.weight" …; the w of an
/// additive match is a parameter "match" [H D].
void list_state(const SelfAttention& module, const std::string& prefix, StateEntries& entries);

}  // namespace qkv
