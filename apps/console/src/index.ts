export { type ConsoleConfig, consoleSettings, readConsoleConfig } from './config.ts'
export { startConsole } from './console.ts'
