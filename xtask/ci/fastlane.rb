# Runs the action dist_publish on as much of fastlane as it touches: its options and defaults, its messages,
# its lane context. fastlane itself checks and finds more; what it checks of an action's form is checked here.
require "json"

Boolean = Class.new

module FastlaneCore
  class ConfigItem
    attr_reader :key, :env_name, :default_value

    def initialize(key:, description:, env_name: nil, optional: false, default_value: nil, type: String,
                   is_string: true, sensitive: false)
      @key, @env_name, @default_value = key, env_name, default_value
      raise "#{key} has no description" if description.to_s.empty?
      raise "#{key} ends its description with a full stop" if description.end_with?(".")
    end
  end
end

module Fastlane
  class Action
    def self.lane_context
      @@context ||= {}
    end
  end

  module Actions
    Action = Fastlane::Action
  end
end

module UI
  Refused = Class.new(StandardError)

  def self.message(text)
    puts text
  end
  singleton_class.alias_method :success, :message

  def self.user_error!(text)
    raise Refused, text
  end
end

load ARGV.fetch(0)
action = Fastlane::Actions::DistPublishAction
given = JSON.parse(ARGV.fetch(1), symbolize_names: true)
params = action.available_options.to_h do |item|
  [item.key, given.fetch(item.key) { ENV.fetch(item.env_name.to_s, item.default_value) }]
end
unknown = given.keys - params.keys
raise "no option is called #{unknown}" unless unknown.empty?

begin
  result = action.run(params)
  raise "the lane context differs" unless action.lane_context[:DIST_RELEASE] == result
  puts "RESULT #{JSON.generate(result)}"
rescue UI::Refused => e
  puts "REFUSED #{e.message}"
  exit 1
end
