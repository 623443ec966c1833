#include "qkv/text/abbreviations.h"

#include <algorithm>
#include <string>
#include <unordered_set>

namespace qkv {
namespace {

using Words = std::unordered_set<std::string_view>;

const Words& titles() {
  static const Words words = {
      // English
      "Mr", "Mrs", "Ms", "Mx", "Messrs", "Dr", "Drs", "Prof", "St", "Ste", "Sts", "Sen", "Rep",
      "Gov", "Gen", "Col", "Capt", "Cpt", "Cpl", "Lt", "Sgt", "Maj", "Cmdr", "Adm", "Rev", "Hon",
      "Pres", "Supt", "Mt", "Ft", "Msgr", "Br", "Pvt", "Insp", "Det", "Amb", "Atty", "Asst", "vs",
      "cf", "viz", "approx", "esp", "resp", "incl", "excl", "e.g", "i.e", "eg", "ie", "n.b", "N.B",
      "q.v",
      // German
      "Hr", "Hrn", "Fr", "Frl", "Dipl", "Ing", "Mag", "med", "jur", "phil", "rer", "nat", "h.c",
      "bzw", "bspw", "vgl", "sog", "evtl", "ggf", "inkl", "exkl", "zzgl", "abzgl", "insb", "ca",
      "bes", "allg", "eigtl", "entspr", "lt", "mind", "vorm", "nachm", "zw", "einschl", "ehem",
      "geb", "gest", "verh", "Hrsg", "hrsg", "Univ", "ungef", "z.B", "d.h", "u.a", "i.d.R", "z.T",
      "u.U", "o.ä", "s.o", "s.u", "m.E", "z.Z", "z.Hd", "i.A", "i.V", "sogen", "Bsp", "zzt", "Mio",
      "Mrd", "Tsd", "Fa", "Abt",
      // French
      "M", "MM", "Mme", "Mmes", "Mlle", "Mlles", "Mgr", "Pr", "Vve", "env", "p.ex", "c.-à-d",
      "c-à-d", "càd", "av", "boul", "apr", "dép", "éd", "adj", "Cie", "S.M", "S.A.R",
      // Spanish
      "Sr", "Sra", "Sras", "Sres", "Srta", "Dra", "Dña", "Ud", "Uds", "Vd", "Vds", "Lic", "Gral",
      "Avda", "Excmo", "Excma", "Ilmo", "Fdo", "aprox", "ej", "p.ej", "Fco", "Mª", "Tte", "Sto",
      "Sta", "Arq", "EE", "FF"};
  return words;
}

const Words& before_numbers() {
  static const Words words = {
      "No",   "no",   "Nos",  "nos",  "Nr",  "nr",  "Nrn",  "Fig",  "fig",  "Figs", "figs",
      "Vol",  "vol",  "Vols", "vols", "p",   "pp",  "P",    "pg",   "S",    "Abs",  "Abb",
      "Art",  "art",  "Kap",  "Bd",   "Bde", "Ch",  "ch",   "Chap", "chap", "Sec",  "sec",
      "Sect", "sect", "Eq",   "eq",   "Eqs", "Tab", "Ref",  "ref",  "Op",   "op",   "Aufl",
      "Ziff", "Zif",  "Rn",   "Rdnr", "Tel", "tel", "Tél",  "tél",  "Fax",  "min",  "max",
      "Min",  "Max",  "ed",   "ex",   "Ex",  "cap", "Cap",  "pág",  "págs", "Pág",  "núm",
      "Núm",  "núms", "vers", "v",    "ver", "Ver", "c",    "ll",   "nn",   "al",   "Tf",
      "Apt",  "apt",  "Pos",  "Jan",  "Feb", "Mar", "Apr",  "Jun",  "Jul",  "Aug",  "Sep",
      "Sept", "Oct",  "Okt",  "Nov",  "Dec", "Dez", "janv", "févr", "juil", "sept", "oct",
      "nov",  "déc",  "ene",  "feb",  "abr", "ago", "dic"};
  return words;
}

const Words& either() {
  static const Words words = {
      "etc",  "Inc",  "inc",  "Ltd", "ltd",  "Co",   "Corp", "corp", "Jr",    "jr",   "Bros",
      "Dept", "dept", "Est",  "est", "Ave",  "Blvd", "Rd",   "Str",  "usw",   "usf",  "Std",
      "Sek",  "Jh",   "Jhd",  "Jhs", "Esq",  "Assn", "Univ", "Mass", "Calif", "Conn", "Ill",
      "Mich", "Minn", "Okla", "Ore", "Penn", "Tenn", "Tex",  "Va",   "Wash",  "Wis",  "Ariz",
      "Ark",  "Colo", "Fla",  "Ga",  "Kan",  "Ky",   "La",   "dgl",  "ff",    "f",    "bzgl",
      "dto",  "izq",  "dcha", "cía", "Cía",  "Ltda"};
  return words;
}

/// Letters in ones and twos between full stops or hyphens: U.S, a.m, Ph.D, EE.UU, J.-C.
bool is_initialism(std::string_view word) {
  if (word.find('.') == std::string_view::npos) return false;
  std::size_t letters = 0;
  for (std::size_t i = 0; i <= word.size(); ++i) {
    if (i < word.size() && word[i] != '.' && word[i] != '-') {
      const auto byte = static_cast<unsigned char>(word[i]);
      if (byte < 0x80 && ((byte | 0x20) < 'a' || (byte | 0x20) > 'z')) return false;
      letters += (byte & 0xC0) != 0x80 ? 1 : 0;
      continue;
    }
    if (letters > 2) return false;
    letters = 0;
  }
  return true;
}

}  // namespace

Abbreviation abbreviation_of(std::string_view word) {
  if (titles().contains(word)) return Abbreviation::title;
  if (before_numbers().contains(word)) return Abbreviation::number;
  if (either().contains(word) || is_initialism(word)) return Abbreviation::either;
  return Abbreviation::none;
}

bool begins_sentences(std::string_view word) {
  static const Words words = {
      // English
      "The", "A", "An", "He", "She", "It", "We", "They", "You", "I", "This", "That", "These",
      "Those", "But", "And", "Or", "If", "When", "However", "There", "Then", "What", "Why", "How",
      "Who", "Where", "My", "His", "Her", "Our", "Their", "Its", "Your", "As", "For", "So", "Not",
      "No", "Yes", "After", "Before", "While", "With", "Although", "Because", "Since", "Some",
      "Many", "Most", "All", "Both", "Each", "Every", "Now", "Here", "Later", "Today", "Once", "On",
      "In", "At", "By", "From", "To", "Of", "Do", "Does", "Did", "Is", "Are", "Was", "Were",
      "Please", "Let", "Even", "Also", "Yet", "Still", "Despite", "During", "Until", "Only",
      // German
      "Der", "Die", "Das", "Ein", "Eine", "Er", "Sie", "Es", "Wir", "Ihr", "Ich", "Du", "Und",
      "Aber", "Oder", "Im", "Am", "Auf", "Bei", "Mit", "Nach", "Wenn", "Als", "Da", "Dann", "Doch",
      "Dies", "Diese", "Dieser", "Dieses", "Man", "Was", "Wer", "Wie", "Wo", "Warum", "Seine",
      "Ihre", "Auch", "Nun", "Jetzt", "Heute", "Danach", "Dort", "Hier", "Sein", "Seit", "Vor",
      "Für", "Über", "Unter", "Weil", "Obwohl", "Trotzdem", "Nicht", "Kein", "Keine", "Zu",
      // French
      "Le", "La", "Les", "L", "Un", "Une", "Des", "Il", "Elle", "Ils", "Elles", "Nous", "Vous",
      "Je", "J", "Tu", "Ce", "Cette", "Ces", "C", "Mais", "Et", "Dans", "En", "Pour", "Quand", "Si",
      "Puis", "Alors", "Son", "Sa", "Ses", "Leur", "Leurs", "Où", "Qui", "Que", "Après", "Avant",
      "Avec", "Sans", "Sur", "Depuis", "Ensuite", "Aujourd", "Ainsi", "Notre", "Votre",
      // Spanish
      "El", "Los", "Las", "Una", "Él", "Ella", "Ellos", "Ellas", "Yo", "Nosotros", "Pero", "Y",
      "Cuando", "Este", "Esta", "Esto", "Estos", "Su", "Sus", "Sí", "Luego", "Después", "También",
      "Con", "Por", "Para", "Aunque", "Hoy", "Ahora", "Entonces", "Se", "Según", "Desde", "Al"};
  return words.contains(word);
}

bool is_date_word(std::string_view word) {
  static const Words words = {
      "Monday",       "Tuesday",     "Wednesday", "Thursday", "Friday",   "Saturday", "Sunday",
      "January",      "February",    "March",     "April",    "May",      "June",     "July",
      "August",       "September",   "October",   "November", "December", "EST",      "EDT",
      "PST",          "PDT",         "GMT",       "UTC",      "CET",      "Januar",   "Februar",
      "März",         "Mai",         "Juni",      "Juli",     "Oktober",  "Dezember", "Jahrhundert",
      "Jahrhunderts", "Jahrtausend", "Jh",        "Uhr"};
  return words.contains(word);
}

bool precedes_ordinal(std::string_view word) {
  static const Words words = {
      "am",     "der",  "die",   "das",   "dem",    "den",    "des",    "im",    "vom",
      "zum",    "zur",  "beim",  "bis",   "ab",     "seit",   "jeden",  "jede",  "jedes",
      "ein",    "eine", "einen", "einem", "einer",  "eines",  "sein",   "seine", "seinen",
      "seinem", "ihr",  "ihre",  "ihren", "ihrem",  "unser",  "unsere", "Am",    "Der",
      "Die",    "Das",  "Im",    "Zum",   "Vom",    "Beim",   "Ab",     "Bis",   "Seit",
      "Dem",    "Den",  "ins",   "ans",   "dieser", "diesem", "diesen", "Jeden"};
  return words.contains(word);
}

bool precedes_letter(std::string_view word) {
  static const Words words = {
      "vitamin",   "Vitamin", "plan",   "Plan",    "grade",     "Grade",     "group",   "Group",
      "type",      "Type",    "class",  "Class",   "hepatitis", "Hepatitis", "section", "Section",
      "part",      "Part",    "figure", "Figure",  "appendix",  "Appendix",  "point",   "Point",
      "option",    "Option",  "team",   "Team",    "category",  "Category",  "model",   "Model",
      "answer",    "Answer",  "column", "Column",  "Gruppe",    "Klasse",    "Typ",     "Teil",
      "Abschnitt", "Punkt",   "Spalte", "groupe",  "Groupe",    "classe",    "partie",  "vitamine",
      "grupo",     "Grupo",   "clase",  "tipo",    "vitamina",  "parte",     "opción",  "drug",
      "exhibit",   "Exhibit", "Anhang", "version", "Version",   "letter",    "variable"};
  return words.contains(word);
}

}  // namespace qkv
