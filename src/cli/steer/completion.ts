/** `isthmus completion bash|zsh|fish`: words that the shell offers, from the commands that there are. */
import { Argument, type Command } from "commander";

interface Words {
  /** The commands before it, with a blank between. */
  readonly after: string;
  readonly words: readonly string[];
}

const optionsOf = (command: Command): readonly string[] =>
  command.options.flatMap(({ long }) => (long === undefined || long === null ? [] : [long]));

function wordsOf(command: Command, after: string): Words[] {
  const inner = command.commands.map((each) => each.name());
  const own: Words = { after, words: [...inner, ...optionsOf(command), "--help"] };
  return [own, ...command.commands.flatMap((each) => wordsOf(each, `${after} ${each.name()}`.trim()))];
}

/** The path of commands is what is typed without options; the longest that is known decides. */
function bash(all: readonly Words[]): string {
  const cases = all.map(({ after, words }) => `    "${after}") words="${words.join(" ")}" ;;`).join("\n");
  return `_isthmus() {
  local current path="" word words=""
  current="\${COMP_WORDS[COMP_CWORD]}"
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in -*) ;; *) path="\${path:+$path }$word" ;; esac
  done
  case "$path" in
${cases}
    *) words="--help --json" ;;
  esac
  COMPREPLY=( $(compgen -W "$words" -- "$current") )
}
complete -F _isthmus isthmus
`;
}

const zsh = (all: readonly Words[]): string => `#compdef isthmus
autoload -U +X bashcompinit && bashcompinit
${bash(all)}`;

function fish(all: readonly Words[]): string {
  const line = ({ after, words }: Words): string => {
    const seen =
      after === ""
        ? "__fish_use_subcommand"
        : after
            .split(" ")
            .map((word) => `__fish_seen_subcommand_from ${word}`)
            .join("; and ");
    return `complete -c isthmus -f -n '${seen}' -a '${words.filter((word) => !word.startsWith("--")).join(" ")}'\n`;
  };
  return all
    .filter(({ words }) => words.some((word) => !word.startsWith("--")))
    .map(line)
    .join("");
}

const SHELLS = { bash, zsh, fish } as const;

export function addCompletion(program: Command, out: (text: string) => void): void {
  program
    .command("completion")
    .description("words that a shell completes; for bash: source <(isthmus completion bash)")
    .addArgument(new Argument("<shell>", "which shell").choices(Object.keys(SHELLS)))
    .action((shell: keyof typeof SHELLS) => out(SHELLS[shell](wordsOf(program, ""))));
}
