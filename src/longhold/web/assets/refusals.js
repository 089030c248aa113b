/** The server's lines for a person, which are English, in the language that is spoken. */

// As the server writes them, with {names} where it puts values; what a person cannot bring about by hand is not here.
const CHINESE = [
  ["{n} requests are waiting: try again in a moment", "还有 {n} 个请求在排队：请稍后再试"],
  ["one job at a time: stop the one that is running first", "一次只做一件事：请先停止正在进行的那一件"],
  ["too many requests: wait a second", "请求太多：请等一秒"],
  ["another text is on its way: one at a time", "另一个文本正在发送：一次只能发一个"],
  ["too many texts: wait a few seconds", "文本太多：请等几秒"],
  ["open the address that the terminal shows", "请打开终端里显示的地址"],
  ["a request of more than {most} bytes", "请求超过 {most} 字节"],
  ["a request of {n} bytes: expected at most {most}", "请求有 {n} 字节：最多 {most} 字节"],
  ["the request did not arrive within {n} s", "请求没有在 {n} 秒内到达"],
  ["the first character has nothing before it to look back at: choose a later one", "第一个字符之前没有可回看的内容：请选后面的字符"],
  ["this reading is no longer kept: read the text again", "这次阅读已不再保留：请重新读一遍文本"],
  ["a text of {n} characters: at most {most} are looked into at a time", "文本有 {n} 个字符：一次最多查看 {most} 个"],
  ["a text of {n} tokens: of this model at most {most} are looked into at a time", "文本有 {n} 个词元：这个模型一次最多查看 {most} 个"],
  ["no training to watch", "没有可以观看的训练"],
  ["{n} pages are watching: close one", "已有 {n} 个页面在观看：请关掉一个"],
  ["it is empty, expected text", "里面是空的，应当有文本"],
  ["this text is no longer here: send it again", "这个文本已不在了：请重新发送"],
  ["the server is about to end", "服务器即将结束"],
  ["one training at a time: cancel the one that is running first", "一次只能训练一个：请先取消正在进行的训练"],
  ["{n} models are open: end the server and start it again to train another", "已打开 {n} 个模型：要再训练，请结束服务器后重新启动"],
  ["it is not {encoding}: byte 0x{byte} at position {n}", "不是 {encoding}：第 {n} 个字节 0x{byte} 不合"],
  ["it is binary data, expected text; if it is text, give --encoding", "是二进制数据，不是文本；如果是文本，请在“编码”中指明"],
  ["it is neither UTF-8 nor in an encoding that can be recognized from its bytes; give --encoding", "既不是 UTF-8，也无法从字节判断编码；请在“编码”中指明"],
].map(([english, chinese]) => ({ pattern: matching(english), chinese }));

/** The line in Chinese where that is spoken; a line that is not known is left as it came. */
export function spoken(line, language) {
  if (language !== "zh-Hans") return line;
  for (const { pattern, chinese } of CHINESE) {
    const found = pattern.exec(line);
    if (found) return chinese.replace(/\{(\w+)\}/g, (_, name) => found.groups[name]);
  }
  return line;
}

/** A pattern for all that a template can have become. */
function matching(template) {
  const escaped = template.replace(/[.*+?^$()|[\]\\]/g, "\\$&");
  return new RegExp(`^${escaped.replace(/\{(\w+)\}/g, "(?<$1>.+)")}$`, "s");
}
