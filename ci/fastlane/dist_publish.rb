# Copy this to fastlane/actions/dist_publish.rb; it needs the program dist on the PATH.
require "json"
require "open3"

module Fastlane
  module Actions
    module SharedValues
      DIST_RELEASE = :DIST_RELEASE
      DIST_INSTALL_URL = :DIST_INSTALL_URL
    end

    class DistPublishAction < Action
      # Each option and the variable that dist reads it from. So nothing stands on a command line, where
      # other users of the machine would see it.
      VARIABLES = {
        server: "DIST_SERVER", token: "DIST_TOKEN", manifest: "DIST_MANIFEST", app: "DIST_APP",
        version: "DIST_VERSION", build: "DIST_BUILD", channel: "DIST_CHANNEL",
        draft: "DIST_DRAFT", dry_run: "DIST_DRY_RUN", strict: "DIST_STRICT"
      }.freeze

      def self.run(params)
        environment = VARIABLES.to_h { |option, name| [name, params[option]&.to_s] }.compact
        environment["DIST_FILES"] = params[:files].join("\n") if params[:files]
        answer, said, status = Open3.capture3(environment, "dist", "ci", "publish", "--json")
        said.each_line { |line| UI.message(line.chomp) }
        result = JSON.parse(answer)
        unless status.success?
          error = result["error"]
          UI.user_error!("dist: #{error['message']} (#{error['code']}, exit code #{status.exitstatus})")
        end
        lane_context[SharedValues::DIST_RELEASE] = result
        lane_context[SharedValues::DIST_INSTALL_URL] = result["install_url"]
        UI.success("dist: #{result['app']['slug']} #{result['release']['version']} #{result['status']}")
        result
      end

      def self.description
        "Publishes a build to a dist server and moves a channel"
      end

      def self.details
        "Runs `dist ci publish`. It can be run again at any time: nothing happens twice."
      end

      def self.available_options
        texts = {
          server: "The server's URL", manifest: "The manifest; dist.json unless files are given",
          app: "The app's slug", version: "The version", build: "The build", channel: "The channel to move"
        }
        switches = {
          draft: "Begin or fill a draft, which other jobs add to", dry_run: "Say what would be published and write nothing",
          strict: "Refuse what is otherwise a warning"
        }
        options = texts.map do |key, text|
          FastlaneCore::ConfigItem.new(key: key, env_name: VARIABLES[key], description: text, optional: true)
        end
        options += switches.map do |key, text|
          FastlaneCore::ConfigItem.new(key: key, env_name: VARIABLES[key], description: text, is_string: false,
                                       type: Boolean, default_value: false)
        end
        options << FastlaneCore::ConfigItem.new(key: :token, env_name: "DIST_TOKEN", sensitive: true, optional: true,
                                                description: "A token with the scope publish")
        options << FastlaneCore::ConfigItem.new(key: :files, optional: true, type: Array,
                                                description: "The artifacts in place of a manifest, paths or globs")
      end

      def self.output
        [["DIST_RELEASE", "The whole answer"], ["DIST_INSTALL_URL", "The install page"]]
      end

      def self.return_value
        "The whole answer: app, release, artifacts with their digests, channel, install_url"
      end

      def self.authors
        ["The dist project"]
      end

      def self.is_supported?(_platform)
        true
      end

      def self.example_code
        ['dist_publish(channel: "beta", files: [lane_context[SharedValues::IPA_OUTPUT_PATH]],
                       app: "acme-app", version: get_version_number)']
      end

      def self.category
        :beta
      end
    end
  end
end
