// The parts of ComfyUI's page that web/js uses, for the type checker.

declare module "*/scripts/api.js" {
    export const api: {
        fetchApi(route: string, options?: RequestInit): Promise<Response>;
        addEventListener(type: string, listener: (event: CustomEvent) => void): void;
    };
}

declare module "*/scripts/app.js" {
    export interface Widget {
        name: string;
        value: unknown;
        callback?: (value: unknown) => void;
    }

    export interface Graph {
        id?: string;
        isRootGraph: boolean;
        rootGraph: Graph;
        change(): void;
    }

    export interface GraphNode {
        constructor: Function & { comfyClass?: string };
        id: number | string;
        graph: Graph | null;
        properties: Record<string, unknown>;
        widgets: Widget[];
        size: number[];
        setSize(size: number[]): void;
        configure(stored: StoredNode): void;
        addDOMWidget(name: string, type: string, element: HTMLElement, options: DOMWidgetOptions): Widget;
    }

    interface StoredNode {
        widgets_values?: unknown[] | Record<string, unknown>;
    }

    interface DOMWidgetOptions {
        getValue(): string;
        setValue(value: string): void;
        getMinHeight(): number;
        hideOnZoom: boolean;
        hideInPanel: boolean;
    }

    type NodeOutput = Record<string, { filename: string }[]>;

    interface Extension {
        name: string;
        beforeRegisterNodeDef?(nodeType: { prototype: GraphNode }, definition: { name: string }): void;
        getCustomWidgets?(): Record<string, (node: GraphNode, name: string) => { widget: Widget }>;
        nodeCreated?(node: GraphNode): void;
        setup?(): void;
        onNodeOutputsUpdated?(outputs: Record<string, NodeOutput | undefined>): void;
    }

    export type CanvasHandler =
        "processMouseWheel" | "processMouseDown" | "processMouseMove" | "processMouseUp";

    export const app: {
        canvas: Record<CanvasHandler, (event: Event) => void>;
        graphToPrompt(): Promise<{ workflow: object; output: object }>;
        extensionManager: {
            workflow: { activeWorkflow?: { changeTracker?: { captureCanvasState(): void } } };
        };
        registerExtension(extension: Extension): void;
    };
}

interface Window {
    LiteGraph: { vueNodesMode?: boolean };
}
