import a11y from "eslint-plugin-jsx-a11y";
import hooks from "eslint-plugin-react-hooks";
import tseslint from "typescript-eslint";

// Captured bytes are hostile: nothing may turn a string into markup or code.
const UNSAFE = [
  {
    selector: "JSXAttribute[name.name='dangerouslySetInnerHTML']",
    message: "traffic only ever as text nodes",
  },
  {
    selector: "MemberExpression[property.name=/^(innerHTML|outerHTML|insertAdjacentHTML|srcdoc)$/]",
    message: "traffic only ever as text nodes",
  },
  {
    selector: "NewExpression[callee.name='Function'], CallExpression[callee.name='eval']",
    message: "no code from strings",
  },
];

export default tseslint.config(
  { ignores: ["node_modules", "src/api/schema.ts", "eslint.config.js"] },
  ...tseslint.configs.strictTypeChecked,
  hooks.configs.flat["recommended-latest"],
  a11y.flatConfigs.strict,
  {
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      "no-restricted-syntax": ["error", ...UNSAFE],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
    },
  },
);
