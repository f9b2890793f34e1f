export { type ConsoleConfig, consoleSettings, readConsoleConfig } from './config.ts'
export { startConsole } from './console.ts'
export { hashSecret } from './sign-in/hash.ts'
