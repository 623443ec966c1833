// A small dialogue: a self-attention model learns what sentences want (intents) and which words
// matter (slots), then answers from what it understood.
#include <cstdio>
#include <map>
#include <sstream>

#include <qkv/train/labelling.h>

int main() {
  // An intent, then words; slots stand behind a slash.
  std::istringstream practice(
      "free are you free tomorrow/DAY ?\nfree do you have time on monday/DAY ?\n"
      "free have you time tonight/DAY ?\nmeet let us meet at home/PLACE on monday/DAY\n"
      "meet let us go to school/PLACE tonight/DAY\nmeet shall we go to school/PLACE sunday/DAY ?\n"
      "bye see you tomorrow/DAY !\nbye bye , until sunday/DAY !");
  std::map<std::string, std::string> answers = {
      {"free", "Yes, DAY suits me."}, {"meet", "Fine: PLACE, DAY."}, {"bye", "See you DAY!"}};
  qkv::LabelledText text;
  for (std::string line; std::getline(practice, line);) {
    std::istringstream in(line);
    in >> text.labels.emplace_back();
    text.words.emplace_back(), text.tags.emplace_back();
    for (std::string word; in >> word;) {
      const std::size_t slash = word.find('/');
      text.words.back().push_back(word.substr(0, slash));
      text.tags.back().push_back(slash == word.npos ? "O" : "B-" + word.substr(slash + 1));
    }
  }
  const auto small =
      qkv::labelling_recipe("tiny", qkv::LabelTask::intent, qkv::LabelEncoder::attention);
  qkv::LabellerModel model = make_labeller(small, text, 1);
  const qkv::LabelledSet set = encode_labelled(model, text, small.scheme);
  qkv::Optimiser optimiser(model, {.clip_norm = 1});
  for (std::uint64_t step = 0; step < 80; ++step) {
    qkv::Tape tape;
    const qkv::Recording on(tape, step);
    const auto loss = model.network.loss(set.all, {.tag_scale = 0.02, .class_scale = 0.1});
    optimiser.clear_gradients();
    tape.backward(loss.loss);
    optimiser.step(3e-3);
  }
  int wrong = 0;
  for (const auto& [said, expected] :
       std::map<std::string, std::string>{{"are you free on sunday ?", "Yes, sunday suits me."},
                                          {"shall we go home tomorrow ?", "Fine: home, tomorrow."},
                                          {"see you tonight !", "See you tonight!"}}) {
    const std::vector words(1, qkv::cut_words(said, qkv::WordCut::space));
    const qkv::Labelled heard = qkv::label_sentences(model, words).front();
    std::string answer = answers[heard.label];
    for (std::size_t i = 0; i < heard.tags.size(); ++i) {
      const std::string slot = heard.tags[i] == "O" ? "?" : heard.tags[i].substr(2);
      const std::size_t at = answer.find(slot);
      if (at != answer.npos) answer.replace(at, slot.size(), words[0][i]);
    }
    std::printf("- %s\n- %s\n", said.c_str(), answer.c_str());
    wrong += answer != expected;
  }
  return wrong;
}
