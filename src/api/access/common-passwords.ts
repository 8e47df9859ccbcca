/** Passwords of the least length and more that are tried first: common words, made longer by digits and repetition. */
const WORDS = [
  "password",
  "passwort",
  "passw0rd",
  "p@ssword",
  "p@ssw0rd",
  "motdepasse",
  "contrasena",
  "senha",
  "geheim",
  "admin",
  "administrator",
  "root",
  "toor",
  "user",
  "guest",
  "test",
  "testing",
  "public",
  "private",
  "secret",
  "default",
  "changeme",
  "changeit",
  "change",
  "letmein",
  "letmeinnow",
  "welcome",
  "welcometo",
  "login",
  "logmein",
  "qwerty",
  "qwertz",
  "qwertyuiop",
  "azerty",
  "asdfgh",
  "asdfghjkl",
  "zxcvbn",
  "zxcvbnm",
  "yxcvbnm",
  "qazwsx",
  "qazwsxedc",
  "abc",
  "abcdef",
  "iloveyou",
  "ihateyou",
  "trustno",
  "trustnoone",
  "whatever",
  "nothing",
  "master",
  "monkey",
  "dragon",
  "sunshine",
  "princess",
  "football",
  "baseball",
  "basketball",
  "superman",
  "batman",
  "shadow",
  "michael",
  "jennifer",
  "charlie",
  "jordan",
  "liverpool",
  "chelsea",
  "arsenal",
  "mustang",
  "pokemon",
  "starwars",
  "hello",
  "helloworld",
  "computer",
  "internet",
  "server",
  "gateway",
  "broker",
  "isthmus",
  "mqtt",
  "mosquitto",
  "emqx",
  "rabbitmq",
  "iot",
  "device",
  "sensor",
  "system",
  "manager",
  "operator",
  "service",
  "support",
  "demo",
  "correcthorsebatterystaple",
  "thequickbrownfox",
  "thisisapassword",
  "mypassword",
  "nopassword",
  "newpassword",
  "temporary",
  "temp",
  "example",
  "sample",
  "raspberry",
  "raspberrypi",
  "ubuntu",
  "debian",
  "docker",
  "kubernetes",
] as const;
const COMMON = new Set<string>(WORDS);
/** As rows of keyboards and counting have them, forwards and backwards. */
const RUNS = [
  "01234567890123456789",
  "abcdefghijklmnopqrstuvwxyz",
  "qwertyuiopasdfghjklzxcvbnm",
  "qwertzuiopasdfghjklyxcvbnm",
];

const LETTERS_FOR: Readonly<Record<string, string>> = {
  "0": "o",
  "1": "i",
  "3": "e",
  "4": "a",
  "5": "s",
  "7": "t",
  "@": "a",
  $: "s",
  "!": "i",
};
const spelled = (text: string): string =>
  text.replaceAll(/[013457@$!]/g, (sign) => LETTERS_FOR[sign] ?? sign);

const reversed = (text: string): string => [...text].reverse().join("");
const isRun = (text: string): boolean =>
  RUNS.some((run) => run.includes(text) || reversed(run).includes(text));

/** `xyxyxyxyxyxy` is `xy`. */
function unrepeated(text: string): string {
  for (let length = 1; length <= text.length / 2; length++) {
    const part = text.slice(0, length);
    if (part.repeat(Math.ceil(text.length / length)).startsWith(text)) return part;
  }
  return text;
}

/** Whether a password is what somebody would try first for this name. */
export function isCommonPassword(password: string, name: string): boolean {
  const text = unrepeated(password.toLowerCase());
  if (text.length <= 6 || isRun(text)) return true;
  const known = (word: string): boolean => {
    const core = unrepeated(word);
    return (
      core.length < 3 ||
      COMMON.has(core) ||
      COMMON.has(spelled(core)) ||
      core === name.toLowerCase() ||
      isRun(core)
    );
  };
  const bare = text.replaceAll(/^[^a-z@$]+|[^a-z@$]+$/g, "");
  return (
    known(text) ||
    known(bare) ||
    known(text.replaceAll(/[^a-z]/g, "")) ||
    known(spelled(text).replaceAll(/[^a-z]/g, ""))
  );
}
